import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import type { Event } from '../api/protocol'
import { at, message, posted } from '../test/make'
import { createNotes, gathered, type Note, noteOf, pagesOf } from './notes'

const event = (seq: number, what: object, actor = 5): Event =>
  ({ log: { conversation: 1 }, seq, at: at(seq), actor, ...what }) as unknown as Event

const LOG: Event[] = [
  event(1, {
    kind: 'created',
    members: [
      { user: 5, role: 'owner' },
      { user: 8, role: 'member' },
    ],
  }),
  event(2, { kind: 'role_changed', user: 8, role: 'admin' }),
  event(3, { kind: 'joined', user: 6, role: 'member', from: 1 }),
  event(4, { kind: 'joined', user: 7, role: 'member', from: 1 }),
  posted(message(5)),
  event(6, { kind: 'reacted', message: 5, emoji: '👍', on: true, count: 1 }),
  event(7, { kind: 'configured', title: 'Hikers', history: 'all' }),
  event(8, { kind: 'left', user: 6 }, 6),
  posted(message(9)),
]

const lines = (notes: readonly Note[] = []) => notes.map(({ what, users }) => [what, ...users].join(' '))

test('what lies between the messages is asked for once, and told in lines', async () => {
  const ask = vi.fn(async (_: number, after: number, limit: number) => ({
    events: LOG.filter(({ seq }) => seq > after && seq <= after + limit),
  }))
  const notes = createNotes(ask)
  notes.need(1, 0, 9, [5, 9])
  notes.need(1, 0, 9, [5, 9])
  expect(ask).toHaveBeenCalledOnce()
  await vi.waitFor(() => expect(notes.state.getState().notes[1]).toHaveLength(5))
  expect(lines(gathered(notes.state.getState().notes[1] ?? []))).toEqual([
    'created 8',
    'added 6 7',
    'renamed',
    'left 6',
  ])

  // Live, told twice; what came live is not asked for again.
  notes.event(1, event(10, { kind: 'left', user: 7 }))
  notes.event(1, event(10, { kind: 'left', user: 7 }))
  notes.need(1, 0, 11, [5, 9, 11])
  expect(ask).toHaveBeenCalledOnce()
  expect(lines(notes.state.getState().notes[1]).at(-1)).toBe('removed 7')
})

test('what could not be asked is asked again; an answer for somebody else is dropped', async () => {
  const ask = vi
    .fn()
    .mockRejectedValueOnce(new Error('away'))
    .mockResolvedValue({ events: LOG.slice(0, 1) })
  const notes = createNotes(ask)
  notes.need(1, 0, 1, [])
  await Promise.resolve()
  await vi.waitFor(() => {
    notes.need(1, 0, 1, [])
    expect(ask).toHaveBeenCalledTimes(2)
  })
  notes.reset()
  await Promise.resolve()
  expect(notes.state.getState().notes).toEqual({})
})

test('pages cover all that is missing, and hold no more than the server gives', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 2_000 }), { maxLength: 80 }), (seqs) => {
      const sorted = seqs.sort((a, b) => a - b)
      const pages = pagesOf(sorted)
      for (const { limit } of pages) expect(limit).toBeLessThanOrEqual(100)
      const covered = (seq: number) => pages.some(({ after, limit }) => seq > after && seq <= after + limit)
      expect(sorted.every(covered)).toBe(true)
    }),
  )
})

test('messages, reactions and what a later server adds leave no note', () => {
  expect(noteOf(posted(message(1)))).toBeNull()
  expect(noteOf(event(1, { kind: 'frobbed' }))).toBeNull()
  expect(noteOf(event(1, { kind: 'hidden' }))).toBeNull()
})
