import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Local, Send } from '../storage/local'
import { byKey } from '../storage/local'
import { message } from '../test/make'
import { createOutbox, type Trouble } from './outbox'

/** A device whose tabs share what is kept, with time only where a promise is awaited. */
class Device {
  kept = new Map<string, Send>()
  locked: Promise<void> = Promise.resolve()
  local(): Local {
    return {
      sends: async () => [...this.kept.values()].sort(byKey),
      putSend: async (send: Send) => void this.kept.set(send.key, send),
      removeSend: async (key: string) => void this.kept.delete(key),
    } as unknown as Local
  }
  exclusively(work: () => Promise<void>): Promise<void> {
    const run = this.locked.then(work, work)
    this.locked = run.catch(() => {})
    return run
  }
}

/** A server that answers a key it knows as the first time. */
class Server {
  stored: { key: string; text: string }[] = []
  live = true
  /** What happens to the next ones that come. */
  luck: ('ok' | 'lost before' | 'lost after' | 'busy' | 'refused')[] = []
  asked = 0
  async post(send: Send) {
    this.asked += 1
    await Promise.resolve()
    const luck = this.luck.shift() ?? 'ok'
    if (!this.live || luck === 'lost before') throw 'gone'
    if (luck === 'busy') throw 'busy'
    if (luck === 'refused') throw 'refused'
    if (!this.stored.some((one) => one.key === send.key)) this.stored.push({ key: send.key, text: send.text })
    if (luck === 'lost after') throw 'gone'
    return { seq: this.stored.length, count: 1, at: '', replayed: false }
  }
}

const trouble = (error: unknown): Trouble =>
  error === 'gone'
    ? { again: 'later' }
    : error === 'busy'
      ? { again: 1 }
      : { again: null, detail: String(error) }

function tab(device: Device, server: Server) {
  const outbox = createOutbox({
    post: (send) => server.post(send),
    trouble,
    isLive: () => server.live,
    exclusively: (work) => device.exclusively(work),
    changed: () => {},
    pause: () => Promise.resolve(),
  })
  return outbox
}

const settle = () => new Promise((resolve) => setTimeout(resolve))

async function open(device: Device, server: Server) {
  const outbox = tab(device, server)
  await outbox.begin(device.local())
  return outbox
}

describe('what is written is sent once, in order', () => {
  test('with two tabs, reloads, lost connections and lost answers', async () => {
    const LUCK = fc.array(fc.constantFrom('ok', 'ok', 'lost before', 'lost after', 'busy' as const), {
      maxLength: 20,
    })
    const STEPS = fc.array(fc.constantFrom('a', 'a', 'b', 'down', 'up', 'reload', 'flush' as const), {
      maxLength: 25,
    })
    await fc.assert(
      fc.asyncProperty(STEPS, LUCK, async (steps, luck) => {
        const device = new Device()
        const server = new Server()
        server.luck = [...luck] as Server['luck']
        let [a, b] = [await open(device, server), await open(device, server)]
        const written: string[] = []
        for (const step of steps) {
          if (step === 'a' || step === 'b') {
            const text = `${written.length}`
            written.push(text)
            ;(step === 'a' ? a : b).add({ conversation: 1 }, text, null, [])
            await Promise.resolve()
          } else if (step === 'down') server.live = false
          else if (step === 'up') server.live = true
          else if (step === 'flush') await b.flush()
          else {
            await settle()
            a.end()
            a = await open(device, server)
            b.end()
            b = await open(device, server)
          }
        }
        server.live = true
        for (let tries = 0; tries < 30 && device.kept.size > 0; tries += 1) {
          await a.flush()
          await b.flush()
          await settle()
        }
        expect(server.stored.map((one) => one.text)).toEqual(written)
        expect(device.kept.size).toBe(0)
        await Promise.all([a.reload(), b.reload()])
        expect(a.get()).toEqual([])
      }),
      { numRuns: 60 },
    )
  })
})

test('a refused message waits for its writer, and what comes after it is sent', async () => {
  const device = new Device()
  const server = new Server()
  server.luck = ['refused']
  const outbox = await open(device, server)
  const first = outbox.add({ conversation: 1 }, 'first', null, [])
  outbox.add({ conversation: 1 }, 'second', null, [])
  await settle()
  expect(server.stored.map((one) => one.text)).toEqual(['second'])
  expect(outbox.get()).toMatchObject([{ key: first.key, failed: 'refused' }])
  outbox.retry(first.key)
  await settle()
  expect(server.stored.map((one) => one.key)).toContain(first.key)
  expect(outbox.get()).toEqual([])
})

test('a discarded one is gone from the device', async () => {
  const device = new Device()
  const server = new Server()
  server.luck = ['refused']
  const outbox = await open(device, server)
  const send = outbox.add({ user: 7 }, 'text', null, [])
  await settle()
  await outbox.discard(send.key)
  expect(outbox.get()).toEqual([])
  expect(device.kept.size).toBe(0)
})

test('a message that arrives before its acknowledgement takes its bubble, each only one', async () => {
  const device = new Device()
  const server = new Server()
  server.live = false
  const outbox = await open(device, server)
  const one = outbox.add({ conversation: 1 }, 'same', null, [])
  const two = outbox.add({ conversation: 1 }, 'same', null, [])
  const here = () => true
  expect(outbox.arrives(message(5, { text: 'same' }), here)).toBe(one.key)
  expect(outbox.arrives(message(6, { text: 'same' }), here)).toBe(two.key)
  expect(outbox.arrives(message(7, { text: 'same' }), here)).toBeUndefined()
  expect(outbox.arrives(message(8, { text: 'other' }), here)).toBeUndefined()
})

test('two tabs do not both send the same', async () => {
  const device = new Device()
  const server = new Server()
  server.live = false
  const [a, b] = [await open(device, server), await open(device, server)]
  for (const text of ['one', 'two', 'three']) a.add({ conversation: 1 }, text, null, [])
  await settle()
  server.live = true
  await Promise.all([a.flush(), b.flush()])
  expect(server.stored.map((one) => one.text)).toEqual(['one', 'two', 'three'])
  expect(server.asked).toBe(3)
})
