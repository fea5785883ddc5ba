import { expect, test } from 'vitest'
import type { PendingSend } from '../../stores/outbox'
import { message } from '../../test/make'
import { buildRows, firstUnread } from './rows'

const ME = 1
/** Local time, because days are the reader's own. */
const at = (id: number, senderId: number, day: number, hour: number, minute: number) =>
  message(id, { sender_id: senderId, timestamp: new Date(2026, 0, day, hour, minute).toISOString() })

const shape = (rows: ReturnType<typeof buildRows>) =>
  rows.map((row) => ('first' in row ? `${row.first ? '[' : ''}${row.key}${row.last ? ']' : ''}` : row.type))

const send = (id: number, createdAt: Date): PendingSend => ({
  id,
  target: { conversationId: 1 },
  content: 'x',
  createdAt: createdAt.getTime(),
  floor: 0,
  status: 'sending',
  ref: id,
  detail: null,
})

test('one sender without a long silence is one run; a new day parts it', () => {
  const messages = [
    at(1, 2, 1, 23, 57),
    at(2, 2, 1, 23, 59),
    at(3, 2, 2, 0, 1),
    at(4, ME, 2, 0, 2),
    at(5, ME, 2, 0, 30),
  ]
  expect(shape(buildRows(messages, [], ME, null))).toEqual([
    'day',
    '[m1',
    'm2]',
    'day',
    '[m3]',
    '[m4]',
    '[m5]',
  ])
})

test('what is being sent joins the run of the own messages, and keeps its row when it has arrived', () => {
  const pending = send(7, new Date(2026, 0, 1, 10, 1))
  expect(shape(buildRows([at(1, ME, 1, 10, 0)], [pending], ME, null))).toEqual(['day', '[m1', 'p7]'])
  const arrived = { ...at(2, ME, 1, 10, 1), sendId: 7 }
  expect(shape(buildRows([at(1, ME, 1, 10, 0), arrived], [], ME, null))).toEqual(['day', '[m1', 'p7]'])
})

test('the line of new messages parts a run', () => {
  const messages = [at(1, 2, 1, 10, 0), at(2, 2, 1, 10, 1), at(3, ME, 1, 10, 2), at(4, 2, 1, 10, 3)]
  expect(firstUnread(messages, 2, ME)).toBe(2)
  expect(firstUnread(messages, 9, ME)).toBeNull()
  expect(firstUnread(messages, 0, ME)).toBeNull()
  expect(shape(buildRows(messages.slice(0, 2), [], ME, 2))).toEqual(['day', '[m1]', 'new', '[m2]'])
})
