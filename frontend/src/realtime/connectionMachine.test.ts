import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CAP_MS } from './backoff'
import {
  type ConnectionEvent,
  type ConnectionState,
  type Effect,
  IDLE,
  type Moment,
  PATIENCE_MS,
  step,
} from './connectionMachine'

/** The world as the effects leave it, kept without looking at how the machine decides. */
interface World {
  state: ConnectionState
  sockets: number
  /** When the one timer rings. */
  timer: number | null
  greeted: boolean
  now: number
}

const CODES = [1000, 1001, 1002, 1006, 1008, 1009, 1011, 4000, 4008, 4009, 4029]
const ENDING = [1000, 1002, 1003, 1007, 1008, 1009, 4009, 4029]

function perform(world: World, effect: Effect) {
  if (effect === 'open') {
    world.sockets += 1
    world.greeted = false
  } else if (effect === 'close') world.sockets -= 1
  else if (effect === 'cancelTimer') world.timer = null
  else if (effect !== 'resume') world.timer = effect.schedule
}

function happen(world: World, event: ConnectionEvent, random = 0.5): Effect[] {
  // The shell tells of these only when there is what they are about, which is then gone.
  if (event.type === 'closed') world.sockets -= 1
  if (event.type === 'timer') {
    world.now = Math.max(world.now, world.timer ?? 0)
    world.timer = null
  }
  if (event.type === 'hello') world.greeted = true
  const { state, effects } = step(world.state, event, { now: world.now, random })
  world.state = state
  for (const effect of effects) perform(world, effect)
  return effects
}

const CHOICES = fc.tuple(
  fc.constantFrom<ConnectionEvent['type']>(
    'start',
    'start',
    'stop',
    'hello',
    'hello',
    'hello',
    'resumed',
    'resumed',
    'resumeFailed',
    'drain',
    'closed',
    'timer',
    'timer',
    'online',
    'offline',
    'wake',
    'suspect',
    'suspect',
    'unauthorized',
  ),
  fc.constantFrom(...CODES),
  fc.boolean(),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.integer({ min: 0, max: 60_000 }),
)

function eventOf(type: ConnectionEvent['type'], code: number, yes: boolean, number: number): ConnectionEvent {
  if (type === 'start') return { type, online: yes }
  if (type === 'closed') return { type, code }
  if (type === 'drain') return { type, inMs: number }
  return { type }
}

const isPossible = (world: World, event: ConnectionEvent) =>
  event.type === 'closed' || event.type === 'drain'
    ? world.sockets > 0
    : event.type === 'hello'
      ? world.sockets > 0 && !world.greeted
      : event.type !== 'timer' || world.timer !== null

const fresh = (): World => ({ state: IDLE, sockets: 0, timer: null, greeted: false, now: 1_000 })

describe('whatever happens, in whatever order', () => {
  test('there is one socket where there should be one, and a timer wherever something is waited for', () => {
    fc.assert(
      fc.property(fc.array(CHOICES, { maxLength: 60 }), (choices) => {
        const world = fresh()
        for (const [type, code, yes, random, number] of choices) {
          const event = eventOf(type, code, yes, number)
          if (!isPossible(world, event)) continue
          world.now += number
          const before = world.state
          happen(world, event, random)
          const { name } = world.state
          const connected = name === 'connecting' || name === 'resuming' || name === 'live'
          expect(world.sockets).toBe(connected ? 1 : 0)
          const waits = name === 'connecting' || name === 'resuming' || name === 'waiting'
          expect(world.timer !== null).toBe(waits)
          if (name === 'waiting') expect(world.timer).toBe((world.state as { retryAt: number }).retryAt)
          // Nobody is live who was not greeted on this very socket.
          if (name === 'live' || name === 'resuming') expect(world.greeted).toBe(true)
          if (event.type === 'closed' && before.name !== 'idle' && before.name !== 'stopped')
            expect(name === 'stopped').toBe(ENDING.includes(event.code))
          if (before.name === 'stopped') expect(['stopped', 'idle', 'connecting', 'offline']).toContain(name)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('once the network and the server are well, it gets live by itself', () => {
    fc.assert(
      fc.property(fc.array(CHOICES, { maxLength: 40 }), (choices) => {
        const world = fresh()
        happen(world, { type: 'start', online: true })
        for (const [type, code, yes, , number] of choices) {
          const event = eventOf(type, code, yes, number)
          if (isPossible(world, event)) happen(world, event)
        }
        if (world.state.name === 'idle' || world.state.name === 'stopped') return
        happen(world, { type: 'online' })
        for (let rounds = 0; rounds < 4 && world.state.name !== 'live'; rounds += 1) {
          if (world.state.name === 'waiting') happen(world, { type: 'timer' })
          else if (world.state.name === 'connecting') happen(world, { type: 'hello' })
          else happen(world, { type: 'resumed' })
        }
        expect(world.state.name).toBe('live')
      }),
    )
  })
})

test('each failure may wait longer than the one before, never longer than the cap, and jitter goes down to nothing', () => {
  for (const random of [0, 1]) {
    const world = fresh()
    happen(world, { type: 'start', online: true })
    let longest = 0
    for (let tries = 0; tries < 12; tries += 1) {
      happen(world, { type: 'closed', code: 1006 }, random)
      const { retryAt } = world.state as { retryAt: number }
      const waited = retryAt - world.now
      expect(waited).toBeLessThanOrEqual(CAP_MS)
      if (random === 0) expect(waited).toBe(0)
      else expect(waited).toBeGreaterThanOrEqual(longest)
      longest = waited
      happen(world, { type: 'timer' })
    }
  }
})

test('a server that says nothing is given up', () => {
  const world = fresh()
  happen(world, { type: 'start', online: true })
  expect(world.timer).toBe(world.now + PATIENCE_MS)
  happen(world, { type: 'timer' })
  expect(world.state.name).toBe('waiting')
  expect(world.sockets).toBe(0)
})

test('a drain waits as long as the server says', () => {
  const moment: Moment = { now: 5_000, random: 0.1 }
  const { state, effects } = step({ name: 'live' }, { type: 'drain', inMs: 1_800 }, moment)
  expect(state).toEqual({ name: 'waiting', attempt: 1, retryAt: 6_800 })
  expect(effects).toEqual(['close', { schedule: 6_800 }])
})

test('a login that is over, too many places, and the rest are told apart', () => {
  const closed = (code: number) =>
    step({ name: 'live' }, { type: 'closed', code }, { now: 0, random: 0 }).state
  expect(closed(1008)).toEqual({ name: 'stopped', reason: 'expired' })
  expect(closed(4009)).toEqual({ name: 'stopped', reason: 'elsewhere' })
  expect(closed(4029)).toEqual({ name: 'stopped', reason: 'ended' })
  expect(closed(4008).name).toBe('waiting')
})
