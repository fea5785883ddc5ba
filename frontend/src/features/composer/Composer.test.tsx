import { fireEvent, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { renderScreen } from '../../test/screen'
import { Composer } from './Composer'

const PROPS = {
  people: [],
  quote: null,
  editing: null,
  trouble: null,
  maxBytes: 100,
  onSend: vi.fn(),
  onSave: vi.fn(),
  onCancel: vi.fn(),
  onEditLast: vi.fn(),
  onTyping: vi.fn(),
}

const box = () => screen.getByRole('textbox', { name: 'Message' }) as HTMLTextAreaElement

test('Enter sends what is trimmed and empties the box; Shift+Enter breaks the line', async () => {
  const onSend = vi.fn()
  renderScreen(<Composer {...PROPS} draftKey="c1" onSend={onSend} />)
  await userEvent.type(box(), ' one{Shift>}{Enter}{/Shift}two {Enter}')
  expect(onSend.mock.calls).toEqual([['one\ntwo', []]])
  expect(box().value).toBe('')
  expect(document.activeElement).toBe(box())
})

test('nothing but space is not sent', async () => {
  const onSend = vi.fn()
  renderScreen(<Composer {...PROPS} draftKey="c1" onSend={onSend} />)
  await userEvent.type(box(), '  {Enter}')
  expect(onSend).not.toHaveBeenCalled()
  expect(screen.getByRole('button', { name: 'Send' })).toHaveProperty('disabled', true)
})

test('Enter inside an input method’s composition stays there', () => {
  const onSend = vi.fn()
  renderScreen(<Composer {...PROPS} draftKey="c1" onSend={onSend} />)
  fireEvent.input(box(), { target: { value: 'に' } })
  fireEvent.keyDown(box(), { key: 'Enter', isComposing: true })
  expect(onSend).not.toHaveBeenCalled()
})

test('each thread keeps its own draft', async () => {
  const { services, unmount } = renderScreen(<Composer {...PROPS} draftKey="c1" onSend={vi.fn()} />)
  await userEvent.type(box(), 'half a thou')
  unmount()
  renderScreen(<Composer {...PROPS} draftKey="c2" onSend={vi.fn()} />, { drafts: services.drafts })
  expect(box().value).toBe('')
  expect(services.drafts.get('c1')?.text).toBe('half a thou')
})

test('names after an @ are offered, taken by Enter, and told when the message is sent', async () => {
  const onSend = vi.fn()
  const people = [
    { id: 7, name: 'anna' },
    { id: 8, name: 'annabel' },
  ]
  renderScreen(<Composer {...PROPS} draftKey="c1" people={people} onSend={onSend} />)
  await userEvent.type(box(), 'hi @an')
  expect(screen.getAllByRole('option').map((option) => option.textContent)).toEqual(['Aanna', 'Aannabel'])
  await userEvent.keyboard('{ArrowDown}{Enter}')
  expect(box().value).toBe('hi @annabel ')
  await userEvent.keyboard('{Enter}')
  expect(onSend.mock.calls).toEqual([['hi @annabel', [8]]])
})

test('ArrowUp in an empty box edits the last message; Enter saves, Escape leaves it', async () => {
  const [onEditLast, onSave, onCancel] = [vi.fn(), vi.fn(), vi.fn()]
  const { unmount } = renderScreen(<Composer {...PROPS} draftKey="c1" onEditLast={onEditLast} />)
  await userEvent.type(box(), '{ArrowUp}')
  expect(onEditLast).toHaveBeenCalledOnce()
  unmount()
  const editing = { id: 3, text: 'old' }
  renderScreen(<Composer {...PROPS} draftKey="c1" editing={editing} onSave={onSave} onCancel={onCancel} />)
  await userEvent.type(box(), 'er{Enter}')
  expect(onSave).toHaveBeenCalledWith('older')
  await userEvent.keyboard('{Escape}')
  expect(onCancel).toHaveBeenCalledOnce()
})

test('what is too long for one message is said before it is sent', async () => {
  const onSend = vi.fn()
  renderScreen(<Composer {...PROPS} draftKey="c1" onSend={onSend} />)
  fireEvent.input(box(), { target: { value: 'ä'.repeat(51) } })
  await userEvent.type(box(), '{Enter}')
  expect(onSend).not.toHaveBeenCalled()
  expect(screen.getByRole('alert').textContent).toContain('2 bytes')
})
