import { describe, expect, test } from 'vitest'
import { message, run } from '../test/make'
import { seeded } from '../test/random'
import {
  follows,
  LOADING,
  newestId,
  refreshed,
  type Thread,
  WINDOW,
  withLatest,
  withLive,
  withNewer,
  withOlder,
} from './thread'

const ids = (thread: Thread) => thread.items.map((item) => item.id)
const span = (thread: Thread) => [ids(thread)[0], newestId(thread), thread.items.length]
const PAGE = 50

describe('a window on a history that grows', () => {
  test.each(Array.from({ length: 30 }, (_, seed) => seed))(
    'stays contiguous, unique, bounded (seed %i)',
    (seed) => {
      const random = seeded(seed)
      let total = 1 + Math.floor(random() * 900)
      const server = {
        latest: () => run(Math.max(1, total - PAGE + 1), total),
        before: (id: number) => run(Math.max(1, id - PAGE), id - 1),
        after: (id: number) => run(id + 1, Math.min(total, id + PAGE)),
      }
      const full = (page: unknown[]) => page.length >= PAGE
      const load = (apply: typeof withLatest, thread: Thread, page: ReturnType<typeof run>) =>
        apply(thread, page, full(page))

      let thread = load(withLatest, LOADING, server.latest())
      for (let at = 0; at < 120; at += 1) {
        const dice = random()
        if (dice < 0.3 && thread.hasOlder)
          thread = load(withOlder, thread, server.before(ids(thread)[0] ?? 1))
        else if (dice < 0.5 && thread.hasNewer)
          thread = load(withNewer, thread, server.after(newestId(thread)))
        else if (dice < 0.6) thread = load(refreshed, thread, server.latest())
        else if (dice < 0.65) thread = load(withLatest, thread, server.latest())
        else if (dice < 0.7)
          total += Math.floor(random() * 120) // Missed: the socket was down.
        else {
          total += 1
          const frame = message(total)
          if (follows(thread, frame)) thread = withLive(thread, frame)
          else thread = load(refreshed, thread, server.latest())
        }
        const have = ids(thread)
        const where = `seed ${seed}, step ${at}`
        expect(have, where).toEqual(run(have[0] ?? 1, have.at(-1) ?? 0).map((item) => item.id))
        expect(have.length, where).toBeLessThanOrEqual(WINDOW)
        if (!thread.hasOlder && have.length > 0) expect(have[0], where).toBe(1)
      }
      // Back at the end, nothing is missing.
      thread = load(withLatest, thread, server.latest())
      expect(newestId(thread)).toBe(total)
    },
  )
})

test('a live frame that comes while the page loads is neither lost nor doubled', () => {
  const early = withLive(withLive(LOADING, message(11)), message(10))
  expect(ids(withLatest(early, run(1, 10), false))).toEqual(run(1, 11).map((item) => item.id))
})

test('a page that does not join leaves the reader where they are, with the rest to be loaded', () => {
  const reading = withLatest(LOADING, run(1, 50), true)
  const after = refreshed(reading, run(151, 200), true)
  expect(span(after)).toEqual([1, 50, 50])
  expect(after.hasNewer).toBe(true)
  expect(follows(after, message(201))).toBe(true)
  expect(withLive(after, message(201))).toBe(after)
})

test('an edge that failed is tried again once the server answers', () => {
  const thread = { ...withLatest(LOADING, run(1, 50), true), older: 'error', newer: 'error' } as const
  expect(refreshed(thread, run(1, 50), true)).toMatchObject({ older: 'idle', newer: 'idle' })
})

test('what the page no longer has is gone, and what it changed is changed', () => {
  const before = withLatest(LOADING, run(1, 10), false)
  const page = run(1, 10).filter((item) => item.id !== 4)
  page[0] = message(1, { content: 'edited' })
  const after = withLatest(before, page, false)
  expect(ids(after)).not.toContain(4)
  expect(after.items[0]?.content).toBe('edited')
})

test('the row of an optimistic bubble keeps its identity through a reload', () => {
  const thread = withLive(withLatest(LOADING, run(1, 3), false), { ...message(4), sendId: 9 })
  expect(withLatest(thread, run(1, 4), false).items.at(-1)?.sendId).toBe(9)
})
