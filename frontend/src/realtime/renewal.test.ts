import { expect, test, vi } from 'vitest'
import { createRenewal, EARLY_MS } from './renewal'

const HOUR = 3_600_000

function make(live = true) {
  const clock = { now: 1_000_000 }
  const renew = vi.fn(async () => ({ access_token: 'fresh', expires_in: 24 * 3_600 }))
  const adopt = vi.fn(async () => {})
  const renewal = createRenewal({ isLive: () => live, renew, adopt }, () => clock.now)
  const meets = (hours: number) => renewal.met(new Date(clock.now + hours * HOUR).toISOString())
  return { clock, renew, adopt, renewal, meets }
}

test('a login is renewed long before it ends, and then at half of its life', async () => {
  const { clock, renew, adopt, renewal, meets } = make()
  meets(24)
  await renewal.look()
  expect(renew).not.toHaveBeenCalled()
  clock.now += 24 * HOUR - EARLY_MS
  await renewal.look()
  expect(adopt).toHaveBeenCalledExactlyOnceWith('fresh')
  clock.now += 12 * HOUR - 1
  await renewal.look()
  expect(renew).toHaveBeenCalledOnce()
  clock.now += 1
  await renewal.look()
  expect(renew).toHaveBeenCalledTimes(2)
})

test('a login that is met near its end is renewed at once; one without an end never', async () => {
  const { renew, renewal, meets } = make()
  renewal.met(undefined)
  await renewal.look()
  expect(renew).not.toHaveBeenCalled()
  meets(1)
  await renewal.look()
  expect(renew).toHaveBeenCalledOnce()
})

test('what fails is tried again a minute later, and nothing is tried without a connection', async () => {
  const { clock, renew, renewal, meets } = make()
  renew.mockRejectedValueOnce(new Error('no network'))
  meets(1)
  await renewal.look()
  await renewal.look()
  expect(renew).toHaveBeenCalledOnce()
  clock.now += 60_000
  await renewal.look()
  expect(renew).toHaveBeenCalledTimes(2)

  const away = make(false)
  away.meets(1)
  await away.renewal.look()
  expect(away.renew).not.toHaveBeenCalled()
})

test('two looks at once renew once', async () => {
  const { renew, renewal, meets } = make()
  meets(1)
  await Promise.all([renewal.look(), renewal.look()])
  expect(renew).toHaveBeenCalledOnce()
})
