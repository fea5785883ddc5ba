import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AT_END, around, earlier, later, MOST, pinned, places, type Span, VIEW } from './span'

const items = (ids: readonly number[]) => ids.map((id) => ({ id }))

test('however one scrolls, a part is drawn, never too much, and every message can be reached', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 500 }),
      fc.array(fc.tuple(fc.constantFrom('up', 'down', 'pin', 'jump', 'post' as const), fc.nat()), {
        maxLength: 60,
      }),
      (gaps, steps) => {
        let last = 0
        const ids = gaps.map((gap) => {
          last += gap
          return last
        })
        let span: Span = AT_END
        for (const [step, number] of steps) {
          const all = items(ids)
          if (step === 'up') span = earlier(all, span)
          else if (step === 'down') span = later(all, span)
          else if (step === 'pin') span = pinned(all, span)
          else if (step === 'jump') span = around(all, ids[number % ids.length] as number)
          else {
            last += 1
            ids.push(last)
          }
          const [from, to] = places(items(ids), span)
          expect(from).toBeLessThan(to)
          if (step !== 'post') expect(to - from).toBeLessThanOrEqual(Math.max(MOST, VIEW) + steps.length)
        }
        for (let tries = 0; tries < 60 && places(items(ids), span)[0] > 0; tries += 1)
          span = earlier(items(ids), span)
        expect(places(items(ids), span)[0]).toBe(0)
        for (let tries = 0; tries < 60 && span.to !== null; tries += 1) span = later(items(ids), span)
        expect(places(items(ids), span)[1]).toBe(ids.length)
      },
    ),
  )
})

test('a step shows what was shown next to something more', () => {
  const all = items(Array.from({ length: 400 }, (_, place) => place + 1))
  const [from, to] = places(all, AT_END)
  const [above, below] = places(all, earlier(all, AT_END))
  expect(above).toBeLessThan(from)
  expect(below).toBe(to)
})
