import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { message } from '../test/make'
import { createConnection } from './connection'

class FakeSocket {
  static readonly OPEN = 1
  static all: FakeSocket[] = []
  readyState = 0
  sent: string[] = []
  closed = false
  onopen: (() => void) | null = null
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  readonly url: string

  constructor(url: URL) {
    this.url = String(url)
    FakeSocket.all.push(this)
  }
  send(text: string) {
    this.sent.push(text)
  }
  close() {
    this.closed = true
  }
  opens() {
    this.readyState = 1
    this.onopen?.()
  }
}

const newest = () => FakeSocket.all.at(-1) as FakeSocket
const settle = () => vi.advanceTimersByTimeAsync(0)

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', FakeSocket)
  vi.stubGlobal('location', { href: 'https://chat.example/c/1' })
  FakeSocket.all = []
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function setUp(sync = vi.fn(async () => {})) {
  const handlers = { onFrame: vi.fn(), onDrop: vi.fn(), sync }
  const connection = createConnection(handlers)
  connection.dispatch({ type: 'start', online: true })
  const name = () => connection.state.getState().name
  return { connection, handlers, name }
}

const frame = { to: null, conversation_id: 1, content: 'x', ref: 1 }

test('it speaks to its own origin, with no token in the address, and is live after the sync', async () => {
  const { connection, name } = setUp()
  expect(newest().url).toBe('wss://chat.example/ws')
  newest().opens()
  expect(name()).toBe('syncing')
  expect(connection.send(frame)).toBe(false)
  await settle()
  expect(name()).toBe('live')
  expect(connection.send(frame)).toBe(true)
  expect(newest().sent).toEqual([JSON.stringify(frame)])
})

test('a lost socket is replaced after a while, and what the old one still says is not heard', async () => {
  const { connection, handlers, name } = setUp()
  const first = newest()
  first.opens()
  await settle()
  first.onclose?.({ code: 1006 })
  expect(handlers.onDrop).toHaveBeenCalledWith(1006)
  expect(name()).toBe('waiting')
  expect(connection.send(frame)).toBe(false)
  await vi.advanceTimersByTimeAsync(500)
  expect(FakeSocket.all).toHaveLength(2)
  first.onmessage?.({ data: JSON.stringify(message(1)) })
  first.onclose?.({ code: 1008 })
  expect(handlers.onFrame).not.toHaveBeenCalled()
  expect(name()).toBe('connecting')
})

test('a sync that fails closes the socket and tries again; an answer to an old sync counts for nothing', async () => {
  let fail: (reason: Error) => void = () => {}
  const sync = vi.fn(() => new Promise<void>((_, reject) => (fail = reject)))
  const { connection, name } = setUp(sync)
  const first = newest()
  first.opens()
  const failFirst = fail
  connection.dispatch({ type: 'suspect' })
  expect(first.closed).toBe(true)
  failFirst(new Error('late'))
  await settle()
  expect(name()).toBe('connecting')
  newest().opens()
  fail(new Error('no answer'))
  await settle()
  expect(name()).toBe('waiting')
  expect(newest().closed).toBe(true)
})

test('1008 ends it: no new socket, however long one waits', async () => {
  const { name } = setUp()
  newest().onclose?.({ code: 1008 })
  await vi.advanceTimersByTimeAsync(120_000)
  expect(name()).toBe('expired')
  expect(FakeSocket.all).toHaveLength(1)
})
