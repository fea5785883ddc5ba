import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { message, run } from '../test/make'
import {
  cut,
  fewest,
  fresher,
  LONGEST,
  MOST_RANGES,
  type Page,
  type Range,
  rangeWith,
  type ThreadMessage,
  tailOf,
  withLive,
  withOwn,
  withPage,
} from './ranges'

/** A conversation's messages at the server; ids have holes, as other events stand between. */
class Server {
  ids: number[] = []
  post(gap: number): number {
    const id = (this.ids.at(-1) ?? 0) + gap
    this.ids.push(id)
    return id
  }
  latest(limit: number): Page {
    const found = this.ids.slice(-limit)
    return { items: found.map((id) => message(id)), atStart: found.length < limit, atEnd: true }
  }
  before(before: number, limit: number): Page {
    const found = this.ids.filter((id) => id < before).slice(-limit)
    return { items: found.map((id) => message(id)), atStart: found.length < limit, atEnd: false, before }
  }
  after(after: number, limit: number): Page {
    const found = this.ids.filter((id) => id > after).slice(0, limit)
    return { items: found.map((id) => message(id)), atStart: false, atEnd: found.length < limit, after }
  }
  around(id: number, limit: number): Page {
    const older = this.before(id + 1, limit)
    const newer = this.after(id, limit)
    return { items: [...older.items, ...newer.items], atStart: older.atStart, atEnd: newer.atEnd }
  }
}

function holds(server: Server, ranges: readonly Range[]) {
  let last = -1
  for (const range of ranges) {
    const ids = range.items.map((item) => item.id)
    if (ids.length === 0) {
      expect(ranges).toHaveLength(1)
      expect(server.ids).toEqual([])
      continue
    }
    const place = server.ids.indexOf(ids[0] as number)
    // Contiguous: exactly what the server has there, nothing between left out.
    expect(ids).toEqual(server.ids.slice(place, place + ids.length))
    // Apart, in order, and not even touching: then they would be one.
    expect(place).toBeGreaterThan(last)
    last = place + ids.length - 1
    if (range.atStart) expect(place).toBe(0)
    if (range.atEnd) expect(ids.at(-1)).toBe(server.ids.at(-1))
    expect(ids.length).toBeLessThanOrEqual(LONGEST)
  }
  expect(ranges.filter((range) => range.atEnd).length).toBeLessThanOrEqual(1)
  expect(ranges.filter((range) => range.atStart).length).toBeLessThanOrEqual(1)
  expect(ranges.length).toBeLessThanOrEqual(MOST_RANGES)
}

type Step = ['post' | 'missed' | 'latest' | 'older' | 'newer' | 'around', number, number]
const STEPS = fc.array(
  fc.tuple(
    fc.constantFrom<Step[0]>('post', 'post', 'missed', 'latest', 'older', 'newer', 'around'),
    fc.nat({ max: 1_000 }),
    fc.integer({ min: 1, max: 6 }),
  ),
  { maxLength: 80 },
)

describe('pages in any order, live messages between them, and some that were missed', () => {
  test('a run is always exactly what the server has there', () => {
    fc.assert(
      fc.property(fc.nat({ max: 40 }), STEPS, (many, steps) => {
        const server = new Server()
        for (let made = 0; made < many; made += 1) server.post(1 + (made % 3))
        let ranges: readonly Range[] = []
        for (const [what, number, size] of steps) {
          const chosen = ranges[number % Math.max(1, ranges.length)]
          const first = chosen?.items[0]?.id
          const last = chosen?.items.at(-1)?.id
          const some = server.ids[number % Math.max(1, server.ids.length)]
          if (what === 'post') {
            const id = server.post(size)
            ranges = withLive(ranges, message(id))
          } else if (what === 'missed') {
            // The socket was away: no run reaches the end any more.
            server.post(size)
            ranges = ranges
              .filter((range) => range.items.length > 0)
              .map((range) => ({ ...range, atEnd: false }))
          } else if (what === 'latest') ranges = withPage(ranges, server.latest(size))
          else if (what === 'older' && first !== undefined)
            ranges = withPage(ranges, server.before(first, size))
          else if (what === 'newer' && last !== undefined) ranges = withPage(ranges, server.after(last, size))
          else if (what === 'around' && some !== undefined)
            ranges = withPage(ranges, server.around(some, size))
          ranges = fewest(ranges, some ?? 0)
          holds(server, ranges)
        }
      }),
      { numRuns: 400 },
    )
  })
})

test('a gap is never shown as adjacency', () => {
  const ranges = withPage([{ items: run(1, 3), atStart: true, atEnd: false }], {
    items: run(7, 9),
    atStart: false,
    atEnd: true,
  })
  expect(ranges.map((range) => range.items.map((item) => item.id))).toEqual([
    [1, 2, 3],
    [7, 8, 9],
  ])
  const joined = withPage(ranges, { items: run(4, 6), atStart: false, atEnd: false, before: 7, after: 3 })
  expect(joined).toHaveLength(1)
  expect(joined[0]?.items.map((item) => item.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a live message goes to the end, once, and nowhere when the end is not loaded', () => {
  const tail: Range = { items: run(1, 3), atStart: true, atEnd: true }
  const once = withLive([tail], message(4))
  expect(withLive(once, message(4))).toEqual(once)
  expect(tailOf(once)?.items).toHaveLength(4)
  const hanging: Range = { ...tail, atEnd: false }
  expect(withLive([hanging], message(9))).toEqual([hanging])
})

test('a full run lets go where nobody is, and says so', () => {
  const range: Range = { items: run(1, LONGEST + 5), atStart: true, atEnd: true }
  expect(cut(range, 'old')).toMatchObject({ atStart: false, atEnd: true })
  expect(cut(range, 'new')).toMatchObject({ atStart: true, atEnd: false })
  expect(cut(range, 'new').items).toHaveLength(LONGEST)
  expect(rangeWith([cut(range, 'old')], 2)).toBeUndefined()
})

test('inside its span a page is the truth, but never an older state of a message', () => {
  const edited = message(2, { text: 'new', revision: 1 })
  const [range] = withPage([{ items: [message(1), edited, message(3)], atStart: true, atEnd: true }], {
    items: [message(1), message(2)],
    atStart: true,
    atEnd: false,
  })
  expect(range?.items.map((item) => item.text)).toEqual(['text 1', 'new', 'text 3'])
})

test('only one run reaches the end: an older claim was made before what came since', () => {
  const ranges = withPage([{ items: run(1, 3), atStart: true, atEnd: true }], {
    items: run(7, 9),
    atStart: false,
    atEnd: true,
  })
  expect(ranges.map((range) => range.atEnd)).toEqual([false, true])
})

test("a page tells which reactions are one's own, and which are no more", () => {
  const reacted = message(1, { reactions: [{ emoji: '👍', count: 2 }] })
  const [before] = withOwn([reacted], [{ message: 1, emoji: ['👍'] }])
  expect(before?.mine).toEqual(['👍'])
  const [after] = withOwn([reacted])
  expect(fresher(before, after as ThreadMessage).mine).toEqual([])
})
