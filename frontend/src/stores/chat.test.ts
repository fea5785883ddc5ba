import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Api, ApiError, PAGE_SIZE } from '../api/client'
import type { Conversation, Message } from '../api/types'
import type { SendFrame } from '../realtime/codec'
import { conversation, message, run } from '../test/make'
import { createAnnouncer } from './announcer'
import { createChat } from './chat'
import { createConversationsStore } from './conversations'
import { createMessagesStore } from './messages'
import { createOutbox } from './outbox'
import { createPeople } from './people'
import { createReadMarks } from './readMarks'

const ME = { id: 1, username: 'me' }
const BOB = { id: 2, username: 'bob' }

/** A chat on a server of a few arrays, whose socket can be cut. */
function setUp() {
  const server = {
    list: [] as Conversation[],
    history: new Map<number, Message[]>(),
    live: true,
    sent: [] as SendFrame[],
  }
  const answer = <T>(value: () => T) =>
    vi.fn(async () => {
      if (!server.live) throw new ApiError(0, 'Unreachable.')
      return value()
    })
  const api = {
    conversations: answer(() => server.list),
    messages: vi.fn(async (id: number, at: { before?: number; after?: number } = {}) => {
      if (!server.live) throw new ApiError(0, 'Unreachable.')
      const all = server.history.get(id)
      if (!all) throw new ApiError(404, 'Not here.')
      if (at.after !== undefined) return all.filter((m) => m.id > (at.after ?? 0)).slice(0, PAGE_SIZE)
      return all.filter((m) => at.before === undefined || m.id < at.before).slice(-PAGE_SIZE)
    }),
    user: answer(() => BOB),
    deleteConversation: answer(() => ({})),
  } as unknown as Api
  const disk = new Map<string, string>()
  const parts = {
    api,
    conversations: createConversationsStore(),
    messages: createMessagesStore(),
    outbox: createOutbox(),
    people: createPeople(api),
    readMarks: createReadMarks({
      getItem: (key) => disk.get(key) ?? null,
      setItem: (key, value) => void disk.set(key, value),
    }),
    announcer: createAnnouncer(),
    transmit: (frame: SendFrame) => {
      if (server.live) server.sent.push(frame)
      return server.live
    },
    suspect: vi.fn(),
  }
  const chat = createChat(parts)
  chat.begin(ME)
  const settle = () => vi.advanceTimersByTimeAsync(0)
  const frame = async (m: Message) => {
    chat.frame({ type: 'message', message: m })
    await settle()
  }
  const withBob = (history: Message[], more: Partial<Conversation> = {}) => {
    server.history.set(1, history)
    server.list = [conversation(1, history.at(-1) ?? null, { peer: BOB, ...more })]
  }
  const statuses = () => parts.outbox.get().map((send) => [send.content, send.status])
  const ids = () => parts.messages.get(1)?.items.map((item) => item.id)
  return { ...parts, chat, server, settle, frame, withBob, statuses, ids }
}

const mine = (id: number, content: string) => message(id, { sender_id: ME.id, content })
const here = { conversationId: 1 }

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

async function opened(history = run(1, 5)) {
  const world = setUp()
  world.withBob(history)
  await world.chat.sync()
  world.chat.openThread(1)
  await world.settle()
  return world
}

describe('sending', () => {
  test('the bubble is there at once and becomes the echoed message in the same row', async () => {
    const { chat, outbox, server, frame, statuses, messages } = await opened()
    chat.send(here, 'hello')
    expect(statuses()).toEqual([['hello', 'sending']])
    expect(server.sent).toMatchObject([{ to: BOB.id, conversation_id: 1, content: 'hello' }])
    const id = outbox.get()[0]?.id
    await frame(mine(6, 'hello'))
    expect(statuses()).toEqual([])
    expect(messages.get(1)?.items.at(-1)).toMatchObject({ id: 6, sendId: id })
  })

  test('without a socket it waits, and goes out in order', async () => {
    const { chat, server, statuses } = await opened()
    server.live = false
    chat.send(here, 'one')
    chat.send(here, 'two')
    expect(statuses().map(([, status]) => status)).toEqual(['queued', 'queued'])
    server.live = true
    chat.flush()
    expect(server.sent.map((sent) => sent.content)).toEqual(['one', 'two'])
  })

  test('after a drop the history decides between sent and not confirmed', async () => {
    const { chat, server, statuses, ids, withBob } = await opened()
    chat.send(here, 'arrived')
    chat.send(here, 'lost')
    chat.dropped(1006)
    withBob([...run(1, 5), mine(6, 'arrived')])
    await chat.sync()
    expect(statuses()).toEqual([['lost', 'unconfirmed']])
    expect(ids()).toEqual([1, 2, 3, 4, 5, 6])
    expect(server.sent).toHaveLength(2)
  })

  test('no echo for ten seconds means a dead socket', async () => {
    const { chat, suspect } = await opened()
    chat.send(here, 'anybody?')
    await vi.advanceTimersByTimeAsync(9_999)
    expect(suspect).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(suspect).toHaveBeenCalledOnce()
  })

  test('what was too large for a frame has failed, the rest is in doubt', async () => {
    const { chat, statuses } = await opened()
    chat.send(here, 'short')
    chat.send(here, 'long'.repeat(100))
    chat.dropped(1009)
    expect(statuses().map(([, status]) => status)).toEqual(['unknown', 'failed'])
  })

  test('a first message makes the conversation, without waiting for the list', async () => {
    const { chat, conversations, people, server, frame, statuses } = setUp()
    people.learn([BOB])
    await chat.sync()
    chat.send({ userId: BOB.id }, 'hi')
    expect(server.sent).toMatchObject([{ to: BOB.id, conversation_id: null }])
    server.history.set(1, [mine(1, 'hi')])
    chat.frame({ type: 'message', message: mine(1, 'hi') })
    expect(conversations.withPeer(BOB.id)?.id).toBe(1)
    server.list = [conversation(1, mine(1, 'hi'), { peer: BOB })]
    await frame(mine(1, 'hi'))
    expect(statuses()).toEqual([])
  })
})

describe('receiving', () => {
  test('a hole before a live frame is filled before the frame is shown', async () => {
    const { frame, ids, withBob } = await opened()
    withBob(run(1, 8))
    await frame(message(8))
    expect(ids()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('a reconnect brings what was missed in the list and in the open thread', async () => {
    const { chat, conversations, ids, withBob } = await opened()
    chat.dropped(1006)
    withBob(run(1, 9), { unread: 4 })
    await chat.sync()
    expect(ids()).toEqual(run(1, 9).map((item) => item.id))
    expect(conversations.get(1)?.unread).toBe(4)
  })

  test('a sync that gets no answer says so', async () => {
    const { chat, server } = await opened()
    server.live = false
    await expect(chat.sync()).rejects.toThrow()
  })

  test('in view it is read; out of view it counts; read stays read when the list is loaded again', async () => {
    const { chat, conversations, frame, withBob } = await opened()
    chat.setViewing(1)
    await frame(message(6))
    expect(conversations.get(1)?.unread).toBe(0)
    chat.setViewing(null)
    await frame(message(7))
    expect(conversations.get(1)?.unread).toBe(1)
    chat.setViewing(1)
    expect(conversations.get(1)?.unread).toBe(0)
    // The server's own cursor does not move in this profile.
    withBob(run(1, 8), { unread: 8 })
    chat.setViewing(null)
    await chat.sync()
    expect(conversations.get(1)?.unread).toBe(1)
  })

  test('a conversation that is not there says so and stops no sync', async () => {
    const { chat, messages, settle } = await opened()
    chat.openThread(99)
    await settle()
    expect(messages.get(99)?.status).toBe('missing')
    await expect(chat.sync()).resolves.toBeUndefined()
  })

  test('many messages at once are one announcement', async () => {
    const { announcer, frame } = await opened()
    await frame(message(6, { content: 'a' }))
    await frame(message(7, { content: 'b' }))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(announcer.state.getState().text).toBe('2 new messages')
    await frame(message(8, { content: 'c' }))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(announcer.state.getState().text).toBe('New message from bob: c')
  })

  test('answers to a session that is over are dropped', async () => {
    const { chat, conversations, withBob } = setUp()
    withBob(run(1, 5))
    const late = chat.sync().catch(() => {})
    chat.end()
    await late
    expect(conversations.state.getState().list).toEqual([])
  })
})
