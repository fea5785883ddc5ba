import { backoff } from './backoff'

/**
 * The connection as a pure function: (state, event) -> (state, effects).
 * The shell in connection.ts owns the socket and the timer and does what the effects say.
 */

export type ConnectionState =
  | { name: 'idle' }
  | { name: 'connecting'; attempt: number }
  /** The socket is open; what may have been missed is being read again. */
  | { name: 'syncing'; attempt: number }
  | { name: 'live' }
  | { name: 'waiting'; attempt: number; retryAt: number }
  | { name: 'offline' }
  /** The login is over: only a new `start` leaves this state. */
  | { name: 'expired' }

export type ConnectionEvent =
  | { type: 'start'; online: boolean }
  | { type: 'stop' }
  | { type: 'opened' }
  | { type: 'synced' }
  | { type: 'syncFailed'; now: number; random: number }
  | { type: 'closed'; code: number; now: number; random: number }
  | { type: 'timer' }
  | { type: 'online' }
  | { type: 'offline' }
  /** The page is in front again. `stale`: the machine slept, so the socket may be dead without knowing. */
  | { type: 'wake'; stale: boolean }
  /** A send got no answer: the socket is taken for dead. */
  | { type: 'suspect' }
  | { type: 'unauthorized' }

export type Effect = 'open' | 'close' | 'sync' | 'cancelTimer' | { schedule: number }

export interface Step {
  state: ConnectionState
  effects: Effect[]
}

const CLOSE_LOGIN = 1008
/** Flooding, and too many sockets of one user: coming back at once would only go on with it. */
const CLOSE_UNWELCOME = [4029, 4009]
const UNWELCOME_FLOOR_MS = 10_000

export const IDLE: ConnectionState = { name: 'idle' }

const hasSocket = (state: ConnectionState) =>
  state.name === 'connecting' || state.name === 'syncing' || state.name === 'live'

/** What must be undone when `state` is left for a state without socket or timer. */
function release(state: ConnectionState): Effect[] {
  if (hasSocket(state)) return ['close']
  return state.name === 'waiting' ? ['cancelTimer'] : []
}

function connect(from: ConnectionState, attempt: number): Step {
  return { state: { name: 'connecting', attempt }, effects: [...release(from), 'open'] }
}

function wait(attempt: number, now: number, random: number, floorMs: number, undo: Effect[]): Step {
  const retryAt = now + backoff(attempt, random, floorMs)
  return {
    state: { name: 'waiting', attempt: attempt + 1, retryAt },
    effects: [...undo, { schedule: retryAt }],
  }
}

const attemptOf = (state: ConnectionState) => ('attempt' in state ? state.attempt : 0)

export function step(state: ConnectionState, event: ConnectionEvent): Step {
  const stay: Step = { state, effects: [] }

  if (event.type === 'stop') return { state: IDLE, effects: release(state) }
  if (event.type === 'start') {
    if (state.name !== 'idle' && state.name !== 'expired') return stay
    return event.online ? connect(state, 0) : { state: { name: 'offline' }, effects: [] }
  }
  if (state.name === 'idle' || state.name === 'expired') return stay

  switch (event.type) {
    case 'unauthorized':
      return { state: { name: 'expired' }, effects: release(state) }
    case 'offline':
      return { state: { name: 'offline' }, effects: release(state) }
    case 'opened':
      if (state.name !== 'connecting') return stay
      return { state: { name: 'syncing', attempt: state.attempt }, effects: ['sync'] }
    case 'synced':
      return state.name === 'syncing' ? { state: { name: 'live' }, effects: [] } : stay
    case 'syncFailed':
      if (state.name !== 'syncing') return stay
      return wait(state.attempt, event.now, event.random, 0, ['close'])
    case 'closed':
      if (!hasSocket(state)) return stay
      // The socket is gone already, so there is nothing to close.
      if (event.code === CLOSE_LOGIN) return { state: { name: 'expired' }, effects: [] }
      return wait(
        attemptOf(state),
        event.now,
        event.random,
        CLOSE_UNWELCOME.includes(event.code) ? UNWELCOME_FLOOR_MS : 0,
        [],
      )
    case 'timer':
      return state.name === 'waiting'
        ? { state: { name: 'connecting', attempt: state.attempt }, effects: ['open'] }
        : stay
    case 'online':
      return state.name === 'offline' || state.name === 'waiting' ? connect(state, 0) : stay
    case 'wake':
      if (state.name === 'waiting') return connect(state, state.attempt)
      if (state.name !== 'live') return stay
      return event.stale ? connect(state, 0) : { state: { name: 'syncing', attempt: 0 }, effects: ['sync'] }
    case 'suspect':
      return state.name === 'live' || state.name === 'syncing' ? connect(state, 0) : stay
  }
}
