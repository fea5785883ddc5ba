import type { Entry, Event, Hello, LogId, Message, ServerFrame, User } from '../api/protocol'
import { t } from '../lib/i18n'
import { plain } from '../lib/markdown'
import type { Connection } from '../realtime/connection'
import type { Local } from '../storage/local'
import type { Announcer } from './announcer'
import { applyToEntry, isNext } from './applyEvent'
import { type Conversations, isMuted } from './conversations'
import { createHistory } from './history'
import { createInbox } from './inbox'
import type { Live } from './live'
import { createMarks } from './marks'
import type { Notes } from './notes'
import type { Outbox, Target } from './outbox'
import type { People } from './people'
import type { Quotes } from './quotes'
import { tailOf } from './ranges'
import type { Login } from './session'
import { createSnapshots } from './snapshots'
import { LOADING, type Thread, type Threads } from './threads'
import { createUserLog } from './userLog'

/** More missed events than this, and a thread is loaded afresh instead. */
const WORTH_RESUMING = 500

export interface ChatParts {
  connection: Pick<Connection, 'ask' | 'tell' | 'offers' | 'probe'>
  conversations: Conversations
  threads: Threads
  outbox: Outbox
  people: People
  live: Live
  quotes: Pick<Quotes, 'event'>
  notes: Pick<Notes, 'event'>
  announcer: Announcer
  /** Somebody else wrote, in what is not in front of the reader's eyes. */
  notify(entry: Entry, message: Message): void
}

/** Where the socket and the stores meet: everything that is more than one store's own affair. */
export function createChat(parts: ChatParts) {
  const { connection, conversations, threads, outbox, people, live, announcer } = parts
  const login: Login = { user: 0, generation: 0 }
  /** The thread on screen, and the one whose end is in front of the reader's eyes. */
  let open: number | null = null
  let viewing: number | null = null

  const saveSoon = () => snapshots.saveSoon()
  const marks = createMarks(connection, conversations)
  const inbox = createInbox({ connection, conversations, people, login, saveSoon })
  const userLog = createUserLog({ connection, conversations, inbox, login, cleared, saveSoon })
  const history = createHistory({ connection, conversations, threads, login, saveSoon })
  const snapshots = createSnapshots({ conversations, threads, people, userLog, login })

  // --- After a gap in the connection ---

  async function resume(hello: Hello): Promise<void> {
    inbox.reconnected()
    const mine = login.generation
    await userLog.resume()
    if (mine !== login.generation) return
    await inbox.load()
    if (mine !== login.generation) return
    const logs: { log: LogId; after: number }[] = []
    for (const id of threads.ids()) {
      const thread = threads.get(id)
      const entry = conversations.get(id)
      if (thread?.status !== 'ready' || !entry) continue
      if (thread.through >= entry.head) continue
      if (thread.through > 0 && entry.head - thread.through <= WORTH_RESUMING)
        logs.push({ log: { conversation: id }, after: thread.through })
      else if (id !== open) threads.remove(id)
    }
    for (let at = 0; at < logs.length; at += hello.limits.cursors)
      await connection.ask('resume', { logs: logs.slice(at, at + hello.limits.cursors) })
    if (open !== null && mine === login.generation) await refresh(open)
  }

  /** The thread on screen has to be right: what cannot be resumed is loaded again. */
  async function refresh(id: number) {
    const thread = threads.get(id)
    const head = conversations.get(id)?.head ?? 0
    const tail = thread && tailOf(thread.ranges)
    if (thread?.status === 'ready' && tail && thread.through > 0 && head - thread.through <= WORTH_RESUMING)
      return
    await history.loadLatest(id)
  }

  // --- What the socket brings ---

  const isHere = (entry: Entry | undefined, conversation: number) => (to: Target) =>
    'conversation' in to
      ? to.conversation === conversation
      : entry?.conversation.pair?.includes(to.user) === true

  function conversationEvent(id: number, event: Event) {
    let entry = conversations.get(id)
    const next = entry ? isNext(entry, event.seq) : null
    if (entry && next) {
      const before = entry
      entry = applyToEntry(entry, event, login.user)
      // Whom one has blocked neither counts nor rings.
      if (event.kind === 'posted' && userLog.blocked().has(event.message.sender ?? 0))
        entry = { ...entry, me: { ...entry.me, unread: before.me.unread, mentions: before.me.mentions } }
      conversations.set(entry)
    } else if (next === null) void inbox.fetch(id)

    let sendKey: string | undefined
    if (event.kind === 'posted') {
      const { message } = event
      if (message.sender === login.user) {
        const paired = isHere(entry, id)
        const alone = (to: Target) => !entry && 'user' in to
        sendKey = outbox.arrives(message, (to) => paired(to) || alone(to))
      } else {
        if (message.sender !== null) live.stopped(id, message.sender)
        if (next !== false) void arrived(id, message)
      }
    }
    parts.quotes.event(id, event)
    parts.notes.event(id, event)
    history.event(id, event, sendKey)
    if (!threads.get(id)) snapshots.forget(id)
    if (event.kind === 'posted' && viewing === id) marks.read(id)
    saveSoon()
  }

  async function arrived(id: number, message: Message) {
    marks.delivered(id, message.id)
    const { sender } = message
    if (sender === null || userLog.blocked().has(sender)) return
    // Of somebody new here one is told by name too, so that is asked for first.
    const mine = login.generation
    if (!conversations.get(id)) await inbox.fetch(id)
    await people.ask(sender)
    const entry = conversations.get(id)
    if (mine !== login.generation || (entry && isMuted(entry) && !message.mentions.includes(login.user)))
      return
    announcer.newMessage(people.name(sender) ?? t('Somebody'), plain(message.text ?? ''))
    if (entry && viewing !== id) parts.notify(entry, message)
  }

  function frame(frame: ServerFrame) {
    switch (frame.type) {
      case 'event': {
        const { log } = frame.body
        return 'user' in log ? userLog.event(frame.body) : conversationEvent(log.conversation, frame.body)
      }
      case 'resync':
        return resync(frame.body.log, frame.body.seq)
      case 'signal':
        if (frame.body.kind === 'typing' && frame.body.user !== login.user)
          live.typed(frame.body.conversation, frame.body.user)
        return
      case 'receipt':
        if (frame.body.user !== login.user) live.receipt(frame.body.conversation, frame.body.user, frame.body)
        return
      case 'presence':
        return live.presence(frame.body.user, frame.body.online)
      default:
        return
    }
  }

  function resync(log: LogId, seq: number) {
    if ('user' in log) return userLog.resync(seq)
    const id = log.conversation
    void inbox.fetch(id)
    cleared(id)
    if (id === open) history.loadLatest(id).catch(() => {})
  }

  function cleared(id: number) {
    snapshots.forget(id)
    if (id === open) threads.set(id, LOADING)
    else threads.remove(id)
  }

  return {
    inbox,
    history,
    userLog,
    async begin(user: User, of: Local) {
      login.generation += 1
      login.user = user.id
      people.learn([user])
      await snapshots.begin(of)
    },
    end() {
      login.generation += 1
      login.user = 0
      open = null
      viewing = null
      snapshots.reset()
      marks.reset()
      userLog.reset()
      inbox.reset()
      conversations.reset()
      threads.reset()
      people.reset()
      live.reset()
    },
    frame,
    resume,
    /** What was marked meanwhile is told now that there is a socket. */
    wentLive: marks.tell,
    save: snapshots.save,

    openThread(id: number | null) {
      open = id
      if (id === null) return
      const known = threads.get(id)
      threads.touch(id)
      snapshots.revive(id)
      const thread = threads.get(id) as Thread
      if (!conversations.get(id)) void inbox.fetch(id)
      const entry = conversations.get(id)
      const behind = entry !== undefined && thread.through < entry.head && !known
      if (thread.status === 'ready' && !behind) return
      if (thread.status !== 'ready') threads.set(id, { ...thread, status: 'loading' })
      history.loadLatest(id).catch(() => {})
    },
    /** So far the thread was before the reader's eyes. */
    saw: (message: Message) => marks.readTo(message.conversation, message),
    /** The end of thread `id` is before the reader's eyes; null when it no longer is. */
    setViewing(id: number | null) {
      viewing = id
      if (id !== null) marks.read(id)
    },
  }
}

export type Chat = ReturnType<typeof createChat>
