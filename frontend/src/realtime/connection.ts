import { createStore } from 'zustand/vanilla'
import { decode, encode, type SendFrame, type ServerFrame } from './codec'
import { type ConnectionEvent, type ConnectionState, type Effect, IDLE, step } from './connectionMachine'

export interface ConnectionHandlers {
  onFrame(frame: ServerFrame): void
  /** Reads again what may have been missed. Rejects when the server cannot be reached. */
  sync(): Promise<void>
  /** The socket is gone; what it had not answered has an unknown outcome. */
  onDrop(code: number): void
}

/** Longer than this between two ticks, and the machine slept. */
const TICK_MS = 15_000
const SLEPT_MS = 90_000

/** The effect shell around the pure machine: it owns the socket, the timer and the browser's events. */
export function createConnection(handlers: ConnectionHandlers, url = '/ws') {
  const store = createStore<ConnectionState>(() => IDLE)
  let socket: WebSocket | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let syncRun = 0

  function dispatch(event: ConnectionEvent) {
    const before = store.getState()
    const next = step(before, event)
    // The state goes first: an effect may dispatch at once and must see it.
    if (next.state !== before) store.setState(next.state, true)
    for (const effect of next.effects) run(effect)
  }

  function run(effect: Effect) {
    if (effect === 'open') open()
    else if (effect === 'close') drop(1000)
    else if (effect === 'sync') sync()
    else if (effect === 'cancelTimer') clearTimeout(timer)
    else timer = setTimeout(() => dispatch({ type: 'timer' }), Math.max(0, effect.schedule - Date.now()))
  }

  function open() {
    const address = new URL(url, location.href)
    address.protocol = address.protocol.replace('http', 'ws')
    const mine = new WebSocket(address)
    socket = mine
    // A socket that was replaced may still report: only the current one is heard.
    mine.onopen = () => socket === mine && dispatch({ type: 'opened' })
    mine.onmessage = (event) => {
      if (socket !== mine) return
      const frame = decode(event.data)
      if (frame) handlers.onFrame(frame)
    }
    mine.onclose = (event) => {
      if (socket !== mine) return
      drop(event.code)
      dispatch({ type: 'closed', code: event.code, now: Date.now(), random: Math.random() })
    }
  }

  function drop(code: number) {
    const old = socket
    socket = null
    syncRun += 1
    old?.close()
    handlers.onDrop(code)
  }

  function sync() {
    syncRun += 1
    const run = syncRun
    handlers.sync().then(
      () => run === syncRun && dispatch({ type: 'synced' }),
      () => run === syncRun && dispatch({ type: 'syncFailed', now: Date.now(), random: Math.random() }),
    )
  }

  function watchBrowser() {
    let tick = Date.now()
    const wake = () => {
      const slept = Date.now() - tick > SLEPT_MS
      tick = Date.now()
      if (document.visibilityState === 'visible') dispatch({ type: 'wake', stale: slept })
      return slept
    }
    addEventListener('online', () => dispatch({ type: 'online' }))
    addEventListener('offline', () => dispatch({ type: 'offline' }))
    document.addEventListener('visibilitychange', wake)
    // A restored page had its socket closed by the browser.
    addEventListener('pageshow', (event) => event.persisted && dispatch({ type: 'wake', stale: true }))
    setInterval(() => {
      if (Date.now() - tick > SLEPT_MS) wake()
      else tick = Date.now()
    }, TICK_MS)
  }

  return {
    state: store,
    dispatch,
    watchBrowser,
    /** False when there is no live socket: the caller keeps the frame. */
    send(frame: SendFrame): boolean {
      if (store.getState().name !== 'live' || socket?.readyState !== WebSocket.OPEN) return false
      socket.send(encode(frame))
      return true
    },
  }
}

export type Connection = ReturnType<typeof createConnection>
