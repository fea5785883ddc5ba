import { describe, expect, test } from 'vitest'
import { seeded } from '../test/random'
import { type ConnectionEvent, type ConnectionState, type Effect, IDLE, step } from './connectionMachine'

/** The world as the effects leave it. */
interface World {
  state: ConnectionState
  sockets: number
  timers: number
  syncs: number
}

function apply(world: World, event: ConnectionEvent): World {
  // The shell reports `closed` and `timer` only when there is a socket and a timer, which are then gone.
  const next = { ...world }
  if (event.type === 'closed') next.sockets -= 1
  if (event.type === 'timer') next.timers -= 1
  const { state, effects } = step(world.state, event)
  for (const effect of effects) count(next, effect)
  next.state = state
  return next
}

function count(world: World, effect: Effect) {
  if (effect === 'open') world.sockets += 1
  else if (effect === 'close') world.sockets -= 1
  else if (effect === 'cancelTimer') world.timers -= 1
  else if (effect === 'sync') world.syncs += 1
  else world.timers += 1
}

const CODES = [1000, 1001, 1006, 1008, 1009, 1011, 4008, 4029]

function possible(world: World, random: () => number): ConnectionEvent[] {
  const now = Math.floor(random() * 1e6)
  const events: ConnectionEvent[] = [
    { type: 'start', online: random() < 0.8 },
    { type: 'stop' },
    { type: 'online' },
    { type: 'offline' },
    { type: 'wake', stale: random() < 0.5 },
    { type: 'suspect' },
    { type: 'unauthorized' },
    { type: 'synced' },
    { type: 'syncFailed', now, random: random() },
  ]
  if (world.sockets > 0) {
    const code = CODES[Math.floor(random() * CODES.length)] as number
    events.push({ type: 'opened' }, { type: 'opened' }, { type: 'closed', code, now, random: random() })
  }
  if (world.timers > 0) events.push({ type: 'timer' }, { type: 'timer' })
  return events
}

const WITH_SOCKET = ['connecting', 'syncing', 'live']

describe('any sequence of events', () => {
  test.each(Array.from({ length: 40 }, (_, seed) => seed))('keeps the invariants (seed %i)', (seed) => {
    const random = seeded(seed)
    let world: World = { state: IDLE, sockets: 0, timers: 0, syncs: 0 }
    for (let at = 0; at < 500; at += 1) {
      const events = possible(world, random)
      const event = events[Math.floor(random() * events.length)] as ConnectionEvent
      const before = world
      world = apply(world, event)
      const where = `seed ${seed}, step ${at}: ${before.state.name} + ${event.type} -> ${world.state.name}`

      expect(world.sockets, where).toBe(WITH_SOCKET.includes(world.state.name) ? 1 : 0)
      expect(world.timers, where).toBe(world.state.name === 'waiting' ? 1 : 0)
      // Nobody is live without having read again what was missed.
      if (world.state.name === 'live' && before.state.name !== 'live')
        expect(before.state.name, where).toBe('syncing')
      if (world.state.name === 'syncing' && before.state.name !== 'syncing')
        expect(world.syncs, where).toBe(before.syncs + 1)
      if (before.state.name === 'expired' && world.state.name !== 'expired')
        expect(['start', 'stop'], where).toContain(event.type)
      if (before.state.name === 'idle' && world.state.name !== 'idle') expect(event.type, where).toBe('start')
    }
    // Whatever happened, a network and a server that answer lead to live.
    if (world.state.name === 'idle' || world.state.name === 'expired')
      world = apply(world, { type: 'start', online: true })
    world = apply(world, { type: 'online' })
    world = apply(world, { type: 'opened' })
    world = apply(world, { type: 'synced' })
    expect(world.state.name).toBe('live')
  })
})

describe('each rule', () => {
  const live: ConnectionState = { name: 'live' }

  test('1008 ends the login, and no retry follows', () => {
    expect(step(live, { type: 'closed', code: 1008, now: 0, random: 0.5 })).toEqual({
      state: { name: 'expired' },
      effects: [],
    })
  })

  test('attempts count up until live, so that the wait grows', () => {
    let state: ConnectionState = { name: 'connecting', attempt: 0 }
    const waits: number[] = []
    for (let round = 0; round < 4; round += 1) {
      state = step(state, { type: 'closed', code: 1006, now: 0, random: 1 }).state
      waits.push(state.name === 'waiting' ? state.retryAt : -1)
      state = step(state, { type: 'timer' }).state
    }
    expect(waits).toEqual([500, 1000, 2000, 4000])
  })

  test.each([4029, 4009])('one who was too much waits at least ten seconds (%i)', (code) => {
    const { state } = step(live, { type: 'closed', code, now: 0, random: 0 })
    expect(state).toMatchObject({ name: 'waiting', retryAt: 10_000 })
  })

  test('a short absence reads again, a long one takes a new socket', () => {
    expect(step(live, { type: 'wake', stale: false }).effects).toEqual(['sync'])
    expect(step(live, { type: 'wake', stale: true }).effects).toEqual(['close', 'open'])
  })
})
