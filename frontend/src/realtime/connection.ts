import { createStore } from 'zustand/vanilla'
import {
  decode,
  type ErrorBody,
  type Hello,
  type Keyed,
  type Notices,
  PROTOCOL,
  type Reads,
  type Ref,
  type ServerFrame,
  type Writes,
  type Written,
} from '../api/protocol'
import { type ConnectionEvent, type ConnectionState, type Effect, IDLE, step } from './connectionMachine'

/** The server refused a frame. */
export class Refused extends Error {
  readonly code: string
  readonly field: string | null
  readonly retryAfterMs: number | null

  constructor(body: ErrorBody) {
    super(sentence(body.detail))
    this.code = body.code
    this.field = body.field ?? null
    this.retryAfterMs = body.retry_after_ms ?? null
  }
}

/** There is no socket, or it went before the answer came: what was asked may have happened. */
export class Disconnected extends Error {
  constructor() {
    super('There is no connection to the server just now.')
  }
}

/** Details are for people, but not all of them begin like a sentence. */
const sentence = (detail: string) =>
  detail.charAt(0).toLocaleUpperCase() + detail.slice(1) + (/[.!?]$/.test(detail) ? '' : '.')

export interface ConnectionHandlers {
  onFrame(frame: ServerFrame): void
  /** Reads what was missed. Rejects when that is not possible. */
  resume(hello: Hello): Promise<void>
}

interface Waiting {
  resolve(body: unknown): void
  reject(error: Error): void
}

/** Longer than this between two ticks, and the machine slept. */
const TICK_MS = 5_000
const SLEPT_MS = 30_000
/** What a socket that is alive may take to show it. */
const ANSWER_MS = 10_000

/** The effect shell around the pure machine: it owns the socket, the timer and the browser's events. */
export function createConnection(handlers: ConnectionHandlers, url = '/ws') {
  const store = createStore<ConnectionState>(() => IDLE)
  const greeting = createStore<{ hello: Hello | null }>(() => ({ hello: null }))
  const waiting = new Map<Ref, Waiting>()
  let socket: WebSocket | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let run = 0
  let refs = 0
  let heard = 0
  let asked: number | null = null

  function dispatch(event: ConnectionEvent) {
    const before = store.getState()
    const next = step(before, event, { now: Date.now(), random: Math.random() })
    // The state goes first: an effect may dispatch at once and must see it.
    if (next.state !== before) store.setState(next.state, true)
    for (const effect of next.effects) perform(effect)
  }

  function perform(effect: Effect) {
    if (effect === 'open') open()
    else if (effect === 'close') drop()
    else if (effect === 'resume') resume()
    else {
      clearTimeout(timer)
      if (effect !== 'cancelTimer')
        timer = setTimeout(() => dispatch({ type: 'timer' }), Math.max(0, effect.schedule - Date.now()))
    }
  }

  function open() {
    const address = new URL(url, location.href)
    address.protocol = address.protocol.replace('http', 'ws')
    const mine = new WebSocket(address, PROTOCOL)
    socket = mine
    heard = Date.now()
    asked = null
    // A socket that was replaced may still report: only the current one is heard.
    mine.onmessage = (event) => {
      if (socket !== mine) return
      heard = Date.now()
      asked = null
      const frame = decode(event.data)
      if (frame) receive(frame)
    }
    mine.onclose = (event) => {
      if (socket !== mine) return
      drop()
      dispatch({ type: 'closed', code: event.code })
    }
  }

  function receive(frame: ServerFrame) {
    switch (frame.type) {
      case 'hello':
        greeting.setState({ hello: frame.body })
        return dispatch({ type: 'hello' })
      case 'drain':
        return dispatch({ type: 'drain', inMs: frame.body.reconnect_in_ms })
      case 'reply':
        return settle(frame.ref)?.resolve(frame.body)
      case 'error':
        return frame.ref === undefined ? undefined : settle(frame.ref)?.reject(new Refused(frame.body))
      case 'pong':
        return
      default:
        handlers.onFrame(frame)
    }
  }

  function settle(ref: Ref): Waiting | undefined {
    const found = waiting.get(ref)
    waiting.delete(ref)
    return found
  }

  function drop() {
    const old = socket
    socket = null
    run += 1
    old?.close()
    const lost = [...waiting.values()]
    waiting.clear()
    for (const { reject } of lost) reject(new Disconnected())
  }

  function resume() {
    run += 1
    const mine = run
    const { hello } = greeting.getState()
    if (!hello) return
    handlers.resume(hello).then(
      () => mine === run && dispatch({ type: 'resumed' }),
      () => mine === run && dispatch({ type: 'resumeFailed' }),
    )
  }

  function transmit(frame: object): boolean {
    const { name } = store.getState()
    if ((name !== 'live' && name !== 'resuming') || socket?.readyState !== WebSocket.OPEN) return false
    socket.send(JSON.stringify(frame))
    return true
  }

  function request(type: string, body: object): Promise<unknown> {
    refs += 1
    const ref = refs
    return new Promise((resolve, reject) => {
      if (!transmit({ type, ref, body })) return reject(new Disconnected())
      waiting.set(ref, { resolve, reject })
    })
  }

  /** Whether the other side is there, at once rather than with the next heartbeat. */
  function probe() {
    if (transmit({ type: 'ping', body: {} })) asked ??= Date.now()
  }

  function watchBrowser() {
    let tick = Date.now()
    const look = () => {
      const now = Date.now()
      const slept = now - tick > SLEPT_MS
      tick = now
      if (store.getState().name !== 'live') return
      const beat = greeting.getState().hello?.heartbeat_ms ?? SLEPT_MS
      if (asked !== null && now - asked > ANSWER_MS) dispatch({ type: 'suspect' })
      else if (slept || (asked === null && now - heard > beat)) probe()
    }
    addEventListener('online', () => {
      dispatch({ type: 'online' })
      probe()
    })
    addEventListener('offline', () => dispatch({ type: 'offline' }))
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState !== 'visible') return
      dispatch({ type: 'wake' })
      probe()
    })
    // A restored page had its socket closed by the browser.
    addEventListener('pageshow', (event) => event.persisted && dispatch({ type: 'suspect' }))
    setInterval(look, TICK_MS)
  }

  return {
    state: store,
    greeting,
    dispatch,
    watchBrowser,
    probe,
    offers: (feature: string) => greeting.getState().hello?.features.includes(feature) ?? false,
    write: <T extends keyof Writes>(type: T, body: Writes[T] & Keyed) =>
      request(type, body) as Promise<Written>,
    ask: <T extends keyof Reads>(type: T, body: Reads[T]['ask']) =>
      request(type, body) as Promise<Reads[T]['reply']>,
    /** Nothing comes back; without a socket it is lost, and false. */
    tell: <T extends keyof Notices>(type: T, body: Notices[T]): boolean => transmit({ type, body }),
  }
}

export type Connection = ReturnType<typeof createConnection>
