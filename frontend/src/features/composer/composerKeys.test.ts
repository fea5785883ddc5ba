import { expect, test } from 'vitest'
import { composerAction, type KeyPress } from './composerKeys'

const press = (more: Partial<KeyPress>): KeyPress => ({
  key: 'Enter',
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  isComposing: false,
  keyCode: 13,
  ...more,
})

test('Enter sends, with Shift or Alt it breaks the line, other keys only write', () => {
  expect(composerAction(press({}), false)).toBe('send')
  expect(composerAction(press({ shiftKey: true }), false)).toBeNull()
  expect(composerAction(press({ altKey: true }), false)).toBeNull()
  expect(composerAction(press({ key: 'a', keyCode: 65 }), false)).toBeNull()
})

test('an input method’s Enter never sends', () => {
  expect(composerAction(press({ isComposing: true }), false)).toBeNull()
  expect(composerAction(press({ keyCode: 229 }), false)).toBeNull()
})

test('on a touch keyboard Enter breaks the line, and Ctrl+Enter of a real one sends', () => {
  expect(composerAction(press({}), true)).toBeNull()
  expect(composerAction(press({ ctrlKey: true }), true)).toBe('send')
})
