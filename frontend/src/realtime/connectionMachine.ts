import { backoff } from './backoff'

/**
 * The connection as a pure function: (state, event, moment) -> (state, effects).
 * The shell in connection.ts owns the socket and the one timer, and does what the effects say.
 */

export type StopReason = 'expired' | 'elsewhere' | 'ended'

export type ConnectionState =
  | { name: 'idle' }
  /** A socket is on its way; `hello` has not come yet. */
  | { name: 'connecting'; attempt: number }
  /** The server said hello; what was missed is being read. */
  | { name: 'resuming'; attempt: number }
  | { name: 'live' }
  | { name: 'waiting'; attempt: number; retryAt: number }
  | { name: 'offline' }
  /** Only a new `start` leaves this state. */
  | { name: 'stopped'; reason: StopReason }

export type ConnectionEvent =
  | { type: 'start'; online: boolean }
  | { type: 'stop' }
  | { type: 'hello' }
  | { type: 'resumed' }
  | { type: 'resumeFailed' }
  /** The server goes away for a moment, and says when to come back. */
  | { type: 'drain'; inMs: number }
  | { type: 'closed'; code: number }
  | { type: 'timer' }
  | { type: 'online' }
  | { type: 'offline' }
  /** The page is in front again. */
  | { type: 'wake' }
  /** The socket does not answer: it is taken for dead. */
  | { type: 'suspect' }
  | { type: 'unauthorized' }

/** `schedule` replaces the timer that there was. */
export type Effect = 'open' | 'close' | 'resume' | 'cancelTimer' | { schedule: number }

export interface Step {
  state: ConnectionState
  effects: Effect[]
}

/** When it is, and how the dice fell. */
export interface Moment {
  now: number
  random: number
}

/** What a socket may take until `hello`, and then until all is read that was missed. */
export const PATIENCE_MS = 15_000

/** Codes after which a client does not come back by itself. */
const ENDS: Record<number, StopReason> = {
  1000: 'ended',
  1002: 'ended',
  1003: 'ended',
  1007: 'ended',
  1008: 'expired',
  1009: 'ended',
  4009: 'elsewhere',
  4029: 'ended',
}

export const IDLE: ConnectionState = { name: 'idle' }

const hasSocket = (state: ConnectionState) =>
  state.name === 'connecting' || state.name === 'resuming' || state.name === 'live'

const hasTimer = (state: ConnectionState) =>
  state.name === 'connecting' || state.name === 'resuming' || state.name === 'waiting'

/** What must be undone when `state` is left for one without socket and timer. */
const release = (state: ConnectionState): Effect[] => [
  ...(hasSocket(state) ? (['close'] as const) : []),
  ...(hasTimer(state) ? (['cancelTimer'] as const) : []),
]

const connect = (from: ConnectionState, attempt: number, { now }: Moment): Step => ({
  state: { name: 'connecting', attempt },
  effects: [...release(from), 'open', { schedule: now + PATIENCE_MS }],
})

/** A hiccup of what was live begins with the shortest wait. */
const attemptOf = (state: ConnectionState) => ('attempt' in state ? state.attempt : 0)

function wait(from: ConnectionState, retryAt: number, undo: Effect[]): Step {
  return {
    state: { name: 'waiting', attempt: attemptOf(from) + 1, retryAt },
    effects: [...undo, { schedule: retryAt }],
  }
}

export function step(state: ConnectionState, event: ConnectionEvent, moment: Moment): Step {
  const stay: Step = { state, effects: [] }
  const later = (from: ConnectionState) => moment.now + backoff(attemptOf(from), moment.random)

  if (event.type === 'stop') return { state: IDLE, effects: release(state) }
  if (event.type === 'start') {
    if (state.name !== 'idle' && state.name !== 'stopped') return stay
    return event.online ? connect(state, 0, moment) : { state: { name: 'offline' }, effects: [] }
  }
  if (state.name === 'idle' || state.name === 'stopped') return stay

  switch (event.type) {
    case 'unauthorized':
      return { state: { name: 'stopped', reason: 'expired' }, effects: release(state) }
    case 'offline':
      return { state: { name: 'offline' }, effects: release(state) }
    case 'hello':
      if (state.name !== 'connecting') return stay
      return {
        state: { name: 'resuming', attempt: state.attempt },
        effects: ['resume', { schedule: moment.now + PATIENCE_MS }],
      }
    case 'resumed':
      return state.name === 'resuming' ? { state: { name: 'live' }, effects: ['cancelTimer'] } : stay
    case 'resumeFailed':
      return state.name === 'resuming' ? wait(state, later(state), ['close']) : stay
    case 'drain':
      return hasSocket(state) ? wait(state, moment.now + event.inMs, ['close']) : stay
    case 'closed': {
      if (!hasSocket(state)) return stay
      // The socket is gone already, so there is nothing to close.
      const reason = ENDS[event.code]
      if (!reason) return wait(state, later(state), [])
      return { state: { name: 'stopped', reason }, effects: hasTimer(state) ? ['cancelTimer'] : [] }
    }
    case 'timer':
      if (state.name === 'waiting') {
        const effects: Effect[] = ['open', { schedule: moment.now + PATIENCE_MS }]
        return { state: { name: 'connecting', attempt: state.attempt }, effects }
      }
      // Nobody answered in time.
      return hasTimer(state) ? wait(state, later(state), ['close']) : stay
    case 'online':
      return state.name === 'offline' || state.name === 'waiting' ? connect(state, 0, moment) : stay
    case 'wake':
      return state.name === 'waiting' ? connect(state, state.attempt, moment) : stay
    case 'suspect':
      return state.name === 'live' ? connect(state, 0, moment) : stay
  }
}
