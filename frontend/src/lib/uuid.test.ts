import fc from 'fast-check'
import { expect, test } from 'vitest'
import { uuidv7 } from './uuid'

test('keys are UUIDv7, and sort as they were made whatever the clock does', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 200 }), (steps) => {
      let now = 1_800_000_000_000
      const keys = steps.map((step) => {
        // A clock that stands still, runs and jumps back.
        now += step - 2
        return uuidv7(now)
      })
      expect([...keys].sort()).toEqual(keys)
      expect(new Set(keys).size).toBe(keys.length)
      for (const key of keys)
        expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    }),
  )
})

test('thousands in one millisecond stay in order', () => {
  const keys = Array.from({ length: 10_000 }, () => uuidv7(1_900_000_000_000))
  expect([...keys].sort()).toEqual(keys)
  expect(new Set(keys).size).toBe(keys.length)
})
