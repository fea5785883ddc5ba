import { fireEvent, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { renderScreen } from '../../test/screen'
import { Composer } from './Composer'

const box = () => screen.getByRole('textbox', { name: 'Message' }) as HTMLTextAreaElement

test('Enter sends what is trimmed and empties the box; Shift+Enter breaks the line', async () => {
  const onSend = vi.fn()
  renderScreen(<Composer draftKey="c1" onSend={onSend} />)
  await userEvent.type(box(), ' one{Shift>}{Enter}{/Shift}two {Enter}')
  expect(onSend.mock.calls).toEqual([['one\ntwo']])
  expect(box().value).toBe('')
  expect(document.activeElement).toBe(box())
})

test('nothing but space is not sent', async () => {
  const onSend = vi.fn()
  renderScreen(<Composer draftKey="c1" onSend={onSend} />)
  await userEvent.type(box(), '  {Enter}')
  expect(onSend).not.toHaveBeenCalled()
  expect(screen.getByRole('button', { name: 'Send' })).toHaveProperty('disabled', true)
})

test('Enter inside an input method’s composition stays there', () => {
  const onSend = vi.fn()
  renderScreen(<Composer draftKey="c1" onSend={onSend} />)
  fireEvent.change(box(), { target: { value: 'に' } })
  fireEvent.keyDown(box(), { key: 'Enter', isComposing: true })
  expect(onSend).not.toHaveBeenCalled()
})

test('each thread keeps its own draft', async () => {
  const { services, unmount } = renderScreen(<Composer draftKey="c1" onSend={vi.fn()} />)
  await userEvent.type(box(), 'half a thou')
  unmount()
  renderScreen(<Composer draftKey="c2" onSend={vi.fn()} />, { drafts: services.drafts })
  expect(box().value).toBe('')
  expect(services.drafts.get('c1')).toBe('half a thou')
})
