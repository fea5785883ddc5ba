import { expect, test } from 'vitest'
import { BASE_MS, backoff, CAP_MS } from './backoff'

test('full jitter: from nothing to a ceiling that doubles and is capped', () => {
  expect(backoff(0, 0)).toBe(0)
  expect(backoff(0, 1)).toBe(BASE_MS)
  expect(backoff(3, 1)).toBe(BASE_MS * 8)
  expect(backoff(50, 1)).toBe(CAP_MS)
})
