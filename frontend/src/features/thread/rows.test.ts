import { expect, test } from 'vitest'
import type { Send } from '../../storage/local'
import { message } from '../../test/make'
import { buildRows, byDay, firstUnread } from './rows'

const ME = 1
/** Local time, because days are the reader's own. */
const at = (id: number, sender: number, day: number, hour: number, minute: number) =>
  message(id, { sender, at: new Date(2026, 0, day, hour, minute).toISOString() })

const shape = (rows: ReturnType<typeof buildRows>) =>
  rows.map((row) => ('first' in row ? `${row.first ? '[' : ''}${row.key}${row.last ? ']' : ''}` : row.type))

const send = (key: string, createdAt: Date): Send => ({
  key,
  to: { conversation: 1 },
  text: 'x',
  replyTo: null,
  mentions: [],
  createdAt: createdAt.getTime(),
  failed: null,
})

test('one sender without a long silence is one run; a new day parts it', () => {
  const messages = [
    at(1, 2, 1, 23, 57),
    at(2, 2, 1, 23, 59),
    at(3, 2, 2, 0, 1),
    at(4, ME, 2, 0, 2),
    at(5, ME, 2, 0, 30),
  ]
  expect(shape(buildRows(messages, [], [], ME, null))).toEqual([
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
  const pending = send('7', new Date(2026, 0, 1, 10, 1))
  expect(shape(buildRows([at(1, ME, 1, 10, 0)], [], [pending], ME, null))).toEqual(['day', '[m1', 'p7]'])
  const arrived = { ...at(2, ME, 1, 10, 1), sendKey: '7' }
  expect(shape(buildRows([at(1, ME, 1, 10, 0), arrived], [], [], ME, null))).toEqual(['day', '[m1', 'p7]'])
})

test('the line of new messages parts a run', () => {
  const messages = [at(1, 2, 1, 10, 0), at(2, 2, 1, 10, 1), at(3, ME, 1, 10, 2), at(4, 2, 1, 10, 3)]
  expect(firstUnread(messages, 1, 2, ME)).toBe(2)
  expect(firstUnread(messages.slice(1), 0, 9, ME)).toBe('further')
  expect(firstUnread(messages, 0, 0, ME)).toBeNull()
  expect(shape(buildRows(messages.slice(0, 2), [], [], ME, 2))).toEqual(['day', '[m1]', 'new', '[m2]'])
})

test('notes stand between messages, part a run, and are one line where they came together', () => {
  const messages = [at(5, 2, 1, 10, 0), at(9, 2, 1, 10, 1), at(10, 2, 1, 10, 2)]
  const note = (seq: number, user: number) => ({
    seq,
    at: new Date(2026, 0, 1, 10, 0, seq).toISOString(),
    what: 'added' as const,
    actor: 3,
    users: [user],
  })
  const rows = buildRows(messages, [note(6, 7), note(8, 8), note(12, 9)], [], ME, null)
  expect(shape(rows)).toEqual(['day', '[m5]', 'note', '[m9', 'm10]', 'note'])
  expect(rows.flatMap((row) => (row.type === 'note' ? [row.note.users] : []))).toEqual([[7, 8], [9]])
})

test('each day is apart, and none comes twice, whatever a clock says', () => {
  const late = send('k1', new Date(2026, 0, 1, 12, 0))
  const messages = [at(1, 2, 1, 10, 0), at(2, 2, 2, 10, 0), at(3, 2, 1, 23, 59), at(4, 2, 3, 9, 0)]
  const days = byDay(buildRows(messages, [], [late], ME, null))
  expect(days.map(({ rows }) => rows.map(({ key }) => key).slice(1))).toEqual([
    ['m1'],
    ['m2', 'm3'],
    ['m4', 'pk1'],
  ])
  expect(new Set(days.map(({ key }) => key)).size).toBe(3)
})
