import { expect, test } from 'vitest'
import { conversation, message } from '../test/make'
import { createConversationsStore, withLoaded, withMessage } from './conversations'

const at = (minute: number, more = {}) =>
  message(minute, { timestamp: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(), ...more })

test('a message moves its conversation up, counts once, and is the preview', () => {
  const list = [conversation(2, at(5, { conversation_id: 2 })), conversation(1, at(3))]
  const frame = at(9)
  const after = withMessage(list, frame, true)
  expect(after?.map((entry) => [entry.id, entry.unread, entry.last_message?.id])).toEqual([
    [1, 1, 9],
    [2, 0, 5],
  ])
  expect(withMessage(after ?? [], frame, true)?.[0]?.unread).toBe(1)
})

test('a message of a conversation not listed asks for the list', () => {
  expect(withMessage([], at(1), true)).toBeNull()
})

test('a list that was read before a live frame does not take the frame back', () => {
  const live = [conversation(1, at(9), { unread: 4 })]
  const loaded = [conversation(1, at(3), { unread: 3 }), conversation(2, at(5, { conversation_id: 2 }))]
  expect(withLoaded(live, loaded).map((entry) => [entry.id, entry.unread])).toEqual([
    [1, 4],
    [2, 0],
  ])
})

test('what the server no longer lists is gone', () => {
  const store = createConversationsStore()
  store.loaded([conversation(1, at(1)), conversation(2, at(2, { conversation_id: 2 }))])
  store.loaded([conversation(1, at(1))])
  expect(store.state.getState().list.map((entry) => entry.id)).toEqual([1])
})

test('an unread badge goes with the reading', () => {
  const store = createConversationsStore()
  store.loaded([conversation(1, at(1), { unread: 7 })])
  store.read(1)
  expect(store.get(1)?.unread).toBe(0)
})
