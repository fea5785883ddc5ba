import { expect, test, vi } from 'vitest'
import { entry, message } from '../test/make'
import { createConversations } from './conversations'
import { createMarks } from './marks'

function make() {
  vi.useFakeTimers()
  const tell = vi.fn((_kind: string, _mark: object) => true)
  const conversations = createConversations()
  conversations.set(entry(1, message(9)))
  return { tell, conversations, marks: createMarks({ tell, offers: () => true }, conversations) }
}

test('marks are gathered, and the highest is told once', () => {
  const { tell, marks } = make()
  for (const seq of [3, 5, 4]) marks.delivered(1, seq)
  expect(tell).not.toHaveBeenCalled()
  vi.runAllTimers()
  expect(tell.mock.calls).toEqual([['delivered', { conversation: 1, seq: 5 }]])
})

test('what could not be told waits for a socket, and a new login tells nothing of it', () => {
  const { tell, marks, conversations } = make()
  tell.mockReturnValueOnce(false)
  marks.read(1)
  expect(conversations.get(1)?.me.read).toBe(9)
  vi.runAllTimers()
  marks.tell()
  expect(tell.mock.calls).toEqual(Array(2).fill(['read', { conversation: 1, seq: 9 }]))
  marks.delivered(1, 12)
  marks.reset()
  vi.runAllTimers()
  marks.tell()
  expect(tell).toHaveBeenCalledTimes(2)
})

test('what was seen on the way to the end is read, and counted off; going back takes nothing back', () => {
  const { tell, marks, conversations } = make()
  const far = entry(1, message(9), { messages: 9 })
  conversations.set({ ...far, me: { ...far.me, read: 2, unread: 7, mentions: 5 } })
  const now = () => conversations.get(1)?.me
  marks.readTo(1, message(6))
  expect(now()).toMatchObject({ read: 6, unread: 3, mentions: 3 })
  marks.readTo(1, message(4))
  expect(now()).toMatchObject({ read: 6, unread: 3 })
  vi.runAllTimers()
  expect(tell.mock.calls).toEqual([['read', { conversation: 1, seq: 6 }]])
  marks.readTo(1, message(9))
  expect(now()).toMatchObject({ read: 9, unread: 0, mentions: 0 })
})
