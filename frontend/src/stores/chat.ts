import { type Api, ApiError, PAGE_SIZE } from '../api/client'
import type { Conversation, Message, User } from '../api/types'
import type { SendFrame, ServerFrame } from '../realtime/codec'
import type { Announcer } from './announcer'
import type { ConversationsStore } from './conversations'
import type { MessagesStore } from './messages'
import { matchEcho, type Outbox, type PendingSend, reconcile, sameTarget, type Target } from './outbox'
import type { People } from './people'
import type { ReadMarks } from './readMarks'
import { follows, LOADING, newestId, refreshed, withLatest, withLive, withNewer, withOlder } from './thread'

const ECHO_TIMEOUT_MS = 10_000
const LIST_DELAY_MS = 100
const CLOSE_TOO_LARGE = 1009

interface Parts {
  api: Api
  conversations: ConversationsStore
  messages: MessagesStore
  outbox: Outbox
  people: People
  readMarks: ReadMarks
  announcer: Announcer
  /** Hands a frame to a live socket; false when there is none. */
  transmit(frame: SendFrame): boolean
  /** The socket does not answer. */
  suspect(): void
}

const isFull = (page: readonly Message[]) => page.length >= PAGE_SIZE

/** Where the API, the socket and the stores meet: everything that is more than one store's own affair. */
export function createChat(parts: Parts) {
  const { api, conversations, messages, outbox, people, readMarks, announcer } = parts
  let me: User | null = null
  /** The thread on screen, and the one whose end is in front of the reader's eyes. */
  let open: number | null = null
  let viewing: number | null = null
  /** Answers that belong to a session that is over are dropped. */
  let generation = 0
  let listRun = 0
  let listShown = 0
  let listTimer: ReturnType<typeof setTimeout> | undefined

  // --- Reading ---

  function applyList(list: readonly Conversation[]) {
    people.learn(list.flatMap((entry) => (entry.peer ? [entry.peer] : [])))
    conversations.loaded(
      list.map((entry) => {
        const mark = readMarks.get(entry.id)
        const newest = entry.last_message?.id ?? 0
        return mark > 0 ? { ...entry, unread: Math.min(entry.unread, Math.max(0, newest - mark)) } : entry
      }),
    )
    for (const entry of list) if (entry.peer) outbox.retarget(entry.peer.id, entry.id)
  }

  /** Always asks anew: an answer on its way may be older than the socket, and miss what came between. */
  async function loadList(): Promise<void> {
    const mine = generation
    listRun += 1
    const run = listRun
    try {
      const list = await api.conversations(me?.id ?? 0)
      // Answers may overtake each other; an older one says nothing new.
      if (mine === generation && run > listShown) {
        listShown = run
        applyList(list)
      }
    } catch (error) {
      if (mine === generation) conversations.failed()
      throw error
    }
  }

  /** Once for however many frames ask for it together. */
  function loadListSoon() {
    if (listTimer !== undefined) return
    listTimer = setTimeout(() => {
      listTimer = undefined
      if (me) loadList().catch(parts.suspect)
    }, LIST_DELAY_MS)
  }

  /** Runs one page load; its failure belongs to the thread and is shown there. */
  async function load(
    id: number,
    at: { before?: number; after?: number },
    done: (page: Message[]) => void,
    failed: (error: ApiError) => void,
  ): Promise<void> {
    const mine = generation
    try {
      const page = await api.messages(id, at)
      if (mine === generation) done(page)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (mine === generation) failed(error)
      // Not there is an answer; no answer is for the caller to know.
      if (error.status !== 404) throw error
    }
  }

  const missingOr = (error: ApiError) => (error.status === 404 ? 'missing' : 'error')

  function refresh(id: number): Promise<void> {
    if (!messages.get(id)) messages.set(id, LOADING)
    return load(
      id,
      {},
      (page) => messages.update(id, (thread) => refreshed(thread, page, isFull(page))),
      (error) =>
        messages.update(id, (thread) =>
          thread.status === 'ready' && error.status !== 404
            ? thread
            : { ...thread, status: missingOr(error) },
        ),
    )
  }

  /** Afresh from the end, whatever was loaded. */
  function loadLatest(id: number): Promise<void> {
    return load(
      id,
      {},
      (page) => messages.update(id, (thread) => withLatest(thread, page, isFull(page))),
      (error) => messages.update(id, (thread) => ({ ...thread, status: missingOr(error) })),
    )
  }

  async function loadOlder(id: number) {
    const thread = messages.get(id)
    const first = thread?.items[0]
    if (!thread?.hasOlder || thread.older === 'loading' || !first) return
    messages.set(id, { ...thread, older: 'loading' })
    await load(
      id,
      { before: first.id },
      (page) => messages.update(id, (now) => withOlder(now, page, isFull(page))),
      () => messages.update(id, (now) => ({ ...now, older: 'error' })),
    ).catch(() => {})
  }

  async function loadNewer(id: number) {
    const thread = messages.get(id)
    if (!thread?.hasNewer || thread.newer === 'loading') return
    messages.set(id, { ...thread, newer: 'loading' })
    await load(
      id,
      { after: newestId(thread) },
      (page) => messages.update(id, (now) => withNewer(now, page, isFull(page))),
      () => messages.update(id, (now) => ({ ...now, newer: 'error' })),
    ).catch(() => {})
  }

  // --- Sending ---

  const lastKnown = (id: number) =>
    Math.max(newestId(messages.get(id)), conversations.get(id)?.last_message?.id ?? 0)

  function transmit(send: PendingSend): boolean {
    const conversationId = 'conversationId' in send.target ? send.target.conversationId : null
    const to = 'userId' in send.target ? send.target.userId : conversations.get(conversationId ?? 0)?.peer?.id
    const frame = { to: to ?? null, conversation_id: conversationId, content: send.content, ref: send.ref }
    if (!parts.transmit(frame)) return false
    outbox.patch(send.id, {
      status: 'sending',
      floor: conversationId === null ? 0 : lastKnown(conversationId),
    })
    setTimeout(() => {
      const now = outbox.get().find((other) => other.id === send.id)
      if (now?.status === 'sending' && now.ref === send.ref) parts.suspect()
    }, ECHO_TIMEOUT_MS)
    return true
  }

  function flush() {
    for (const send of outbox.get()) if (send.status === 'queued' && !transmit(send)) return
  }

  /** What was under way when a socket dropped is looked for in the history. */
  async function settleUnknown() {
    const mine = generation
    const unknown = outbox.get().filter((send) => send.status === 'unknown')
    const targets = unknown
      .map((send) => send.target)
      .filter((target, index, all) => all.findIndex((other) => sameTarget(target, other)) === index)
    for (const target of targets) {
      const sends = unknown.filter((send) => sameTarget(send.target, target))
      const floor = Math.min(...sends.map((send) => send.floor))
      let history: Message[] = []
      if ('conversationId' in target) {
        const at = floor > 0 ? { after: floor } : {}
        const take = (page: Message[]) => {
          history = page
        }
        await load(target.conversationId, at, take, () => {})
      }
      if (mine !== generation) return
      const thread = 'conversationId' in target ? messages.get(target.conversationId) : undefined
      const claimed = new Set(thread?.items.filter((m) => m.sendId !== undefined).map((m) => m.id))
      outbox.put(reconcile(outbox.get(), target, history, me?.id ?? 0, claimed).sends)
    }
  }

  // --- What the socket brings ---

  function peerOf(conversationId: number): number | null | undefined {
    const entry = conversations.get(conversationId)
    return entry ? (entry.peer?.id ?? null) : undefined
  }

  async function receive(message: Message) {
    const id = message.conversation_id
    const own = message.sender_id === me?.id
    const echoed = own ? matchEcho(outbox.get(), message, peerOf(id)) : undefined
    const peerId = echoed && 'userId' in echoed.target ? echoed.target.userId : null

    if (!conversations.message(message, !own && viewing !== id)) {
      if (peerId !== null) {
        const username = people.state.getState().names[peerId]
        if (username !== undefined) conversations.started({ id: peerId, username }, message)
      }
      // Its title, peer and unread count are the server's to tell.
      loadListSoon()
    }
    if (peerId !== null) {
      outbox.retarget(peerId, id)
      if (!messages.get(id)) messages.set(id, LOADING)
      refresh(id).catch(parts.suspect)
    }
    if (own || viewing === id) markRead(id, message.id)
    if (!own) announce(message)

    const thread = messages.get(id)
    if (thread && !follows(thread, message)) await refresh(id).catch(parts.suspect)
    else messages.update(id, (now) => withLive(now, echoed ? { ...message, sendId: echoed.id } : message))
    if (echoed) outbox.remove(echoed.id)
  }

  function announce(message: Message) {
    const name = people.state.getState().names[message.sender_id]
    if (name === undefined) people.ask(message.sender_id)
    announcer.newMessage(name ?? 'someone', message.content)
  }

  function markRead(id: number, messageId: number) {
    if (readMarks.advance(id, messageId) || conversations.get(id)?.unread) conversations.read(id)
  }

  return {
    begin(user: User) {
      generation += 1
      me = user
      readMarks.open(user.id)
      people.learn([user])
      // The socket's first sync reads it again; this one shows it sooner, or at all where sockets are blocked.
      loadList().catch(() => {})
    },
    end() {
      generation += 1
      me = null
      open = null
      viewing = null
      conversations.reset()
      messages.retainOnly(null)
      outbox.reset()
      people.reset()
    },

    frame(frame: ServerFrame) {
      if (frame.type === 'message') void receive(frame.message)
      else outbox.refused(frame.ref, frame.detail)
    },
    dropped(code: number) {
      if (code === CLOSE_TOO_LARGE) {
        // The server does not say which frame it was; the longest is the one.
        const sending = outbox.get().filter((send) => send.status === 'sending')
        const longest = sending.sort((a, b) => b.content.length - a.content.length)[0]
        if (longest) outbox.patch(longest.id, { status: 'failed', detail: 'The message is too long.' })
      }
      outbox.dropped()
      messages.retainOnly(open)
    },
    async sync() {
      await Promise.all([loadList(), open === null ? undefined : refresh(open)])
      await settleUnknown()
    },
    flush,

    loadList: () => loadList().catch(() => {}),
    openThread(id: number | null) {
      open = id
      if (id === null) return
      messages.touch(id)
      if (messages.get(id)?.status === 'error') messages.set(id, LOADING)
      // A failure is shown in the thread, or mended by the next reconnect.
      refresh(id).catch(() => {})
    },
    loadLatest: (id: number) => loadLatest(id).catch(() => {}),
    loadOlder,
    loadNewer,
    /** The end of thread `id` is before the reader's eyes; null when it no longer is. */
    setViewing(id: number | null) {
      viewing = id
      if (id !== null) markRead(id, lastKnown(id))
    },
    /** Another tab read something. */
    marksChanged: () => applyList(conversations.state.getState().list),

    send(target: Target, content: string) {
      outbox.add(target, content)
      flush()
    },
    retry(id: number) {
      outbox.requeue(id)
      flush()
    },
    discard: outbox.remove,
    async deleteConversation(id: number) {
      await api.deleteConversation(id)
      conversations.remove(id)
      messages.remove(id)
    },
  }
}

export type Chat = ReturnType<typeof createChat>
