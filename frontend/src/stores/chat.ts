import type { Entry, Event, Hello, LogId, Message, ServerFrame, User } from '../api/protocol'
import { type Connection, Disconnected, Refused } from '../realtime/connection'
import type { Local, SavedTail, Snapshot } from '../storage/local'
import type { Announcer } from './announcer'
import { applyToEntry, applyToRanges, isNext, withoutRole } from './applyEvent'
import { type Conversations, isMuted, peersOf } from './conversations'
import type { Live } from './live'
import type { Notes } from './notes'
import type { Outbox, Target } from './outbox'
import type { People } from './people'
import type { Quotes } from './quotes'
import { firstId, lastId, type Page, rangeWith, type ThreadMessage, tailOf, withOwn } from './ranges'
import { LOADING, loaded, shownRange, type Thread, type Threads, trimmed } from './threads'

export const PAGE_SIZE = 50
const INBOX_PAGE = 50
/** More missed events than this, and a thread is loaded afresh instead. */
const WORTH_RESUMING = 500
const SAVE_MS = 1_000
const MARK_MS = 1_000

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
  let me: User | null = null
  let local: Local | null = null
  /** The thread on screen, and the one whose end is in front of the reader's eyes. */
  let open: number | null = null
  let viewing: number | null = null
  /** Answers that belong to a session that is over are dropped. */
  let generation = 0
  /** The place in one's own log; null before the first list was loaded. */
  let cursor: number | null = null
  let blocked: ReadonlySet<number> = new Set()
  const fetching = new Map<number, Promise<void>>()
  let saveTimer: ReturnType<typeof setTimeout> | undefined
  let markTimer: ReturnType<typeof setTimeout> | undefined
  const marks = { read: new Map<number, number>(), delivered: new Map<number, number>() }
  let watched = ''

  const myId = () => me?.id ?? 0

  // --- What the device remembers ---

  function saveSoon() {
    saveTimer ??= setTimeout(save, SAVE_MS)
  }

  function save() {
    clearTimeout(saveTimer)
    saveTimer = undefined
    if (!local || cursor === null) return
    const tails: SavedTail[] = []
    for (const id of [...threads.ids()].reverse()) {
      const thread = threads.get(id)
      const tail = thread?.status === 'ready' ? tailOf(thread.ranges) : undefined
      if (!thread || !tail) continue
      const { items, atStart } = tail
      tails.push({ conversation: id, items, atStart, through: thread.through })
    }
    for (const tail of unopened.values()) if (!threads.get(tail.conversation)) tails.push(tail)
    const names = Object.entries(people.state.getState().names)
    const snapshot: Snapshot = {
      meta: { cursor, blocked: [...blocked], names: names.map(([id, name]) => [Number(id), name]) },
      entries: [...conversations.list()],
      tails,
    }
    void local.save(snapshot)
  }

  /** Remembered pages of threads that were not opened since the page was loaded. */
  const unopened = new Map<number, SavedTail>()

  function remember(snapshot: Snapshot) {
    if (!snapshot.meta) return
    cursor = snapshot.meta.cursor
    blocked = new Set(snapshot.meta.blocked)
    people.learn(snapshot.meta.names.map(([id, name]) => ({ id, name })))
    conversations.page(snapshot.entries, null)
    for (const tail of snapshot.tails) unopened.set(tail.conversation, tail)
  }

  /** A remembered page is good for looking at; what it missed since is resumed, or it is loaded afresh. */
  function revive(id: number) {
    const tail = unopened.get(id)
    unopened.delete(id)
    if (!tail || threads.get(id)?.status !== 'loading') return
    const { items, atStart, through } = tail
    threads.set(id, { ...LOADING, status: 'ready', ranges: [{ items, atStart, atEnd: true }], through })
  }

  // --- Lists ---

  function learn(entries: readonly Entry[]) {
    people.learn(peersOf(entries))
  }

  /** The first pages, until nothing on one is news. */
  async function loadList(): Promise<void> {
    const mine = generation
    const known = new Map(conversations.list().map((entry) => [entry.conversation.id, entry]))
    const fresh: Entry[] = []
    let after: string | undefined
    for (;;) {
      const page = await connection.ask('inbox', { limit: INBOX_PAGE, ...(after && { after }) })
      if (mine !== generation) return
      learn(page.entries)
      fresh.push(...page.entries)
      after = page.next
      const news = page.entries.some((entry) => known.get(entry.conversation.id)?.head !== entry.head)
      if (!after || known.size === 0 || !news) break
    }
    // What lies beyond was not touched since.
    const edge = fresh.at(-1)
    const beyond = after
      ? conversations.list().filter((entry) => edge && entry.at < edge.at && !fresh.includes(entry))
      : []
    conversations.replace([...fresh, ...beyond], after ?? null)
    watch()
    saveSoon()
  }

  async function loadMore(): Promise<void> {
    const { next } = conversations.state.getState()
    if (next === null) return
    const mine = generation
    const page = await connection.ask('inbox', { limit: INBOX_PAGE, after: next })
    if (mine !== generation) return
    learn(page.entries)
    conversations.page(page.entries, page.next ?? null)
    watch()
  }

  /** One conversation as the server has it now; once for however many ask. */
  function fetchEntry(id: number): Promise<void> {
    const under = fetching.get(id)
    if (under) return under
    const mine = generation
    const run = connection
      .ask('conversation', { conversation: id })
      .then(
        ({ entry }) => {
          if (mine !== generation) return
          learn([entry])
          conversations.set(entry)
          watch()
          saveSoon()
        },
        (error) => {
          if (mine !== generation) return
          if (error instanceof Refused && error.code === 'not_found') conversations.remove(id)
        },
      )
      .finally(() => fetching.delete(id))
    fetching.set(id, run)
    return run
  }

  /** Whom one wants to see come and go: the other ones of direct conversations. */
  function watch() {
    if (!connection.offers('presence')) return
    const users = conversations
      .list()
      .flatMap((entry) => (entry.peer && entry.me.listed ? [entry.peer.id] : []))
      .slice(0, 500)
    const wanted = users.join()
    if (wanted === watched) return
    watched = wanted
    connection.ask('presence', { users }).catch(() => {})
  }

  // --- After a gap in the connection ---

  async function resume(hello: Hello): Promise<void> {
    watched = ''
    const mine = generation
    if (cursor === null) {
      const { user } = await connection.ask('heads', { limit: 1 })
      if (mine !== generation) return
      cursor = user
      void learnBlocked()
    } else {
      await connection.ask('resume', { logs: [{ log: { user: myId() }, after: cursor }] })
    }
    await loadList()
    if (mine !== generation) return
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
    if (open !== null && mine === generation) await refresh(open)
  }

  /** The thread on screen has to be right: what cannot be resumed is loaded again. */
  async function refresh(id: number) {
    const thread = threads.get(id)
    const head = conversations.get(id)?.head ?? 0
    const tail = thread && tailOf(thread.ranges)
    if (thread?.status === 'ready' && tail && thread.through > 0 && head - thread.through <= WORTH_RESUMING)
      return
    await loadLatest(id)
  }

  /** Whom one has blocked stands in one's own log alone. */
  async function learnBlocked() {
    const mine = generation
    const found = new Set(blocked)
    let after = 0
    for (;;) {
      const page = await connection.ask('log', { log: { user: myId() }, after, limit: 100 }).catch(() => null)
      if (mine !== generation || page === null) return
      for (const event of page.events)
        if (event.kind === 'blocked') event.on ? found.add(event.user) : found.delete(event.user)
      const last = page.events.at(-1)?.seq ?? page.resync
      if (last === undefined || last >= page.head) break
      after = last
    }
    setBlocked(found)
  }

  const blockedListeners = new Set<() => void>()
  function setBlocked(users: ReadonlySet<number>) {
    blocked = users
    for (const listener of blockedListeners) listener()
    saveSoon()
  }

  // --- Pages of messages ---

  /** A page may have been read before what came while it was on its way: that is applied to it afterwards. */
  interface UnderWay {
    id: number
    events: [Event, string | undefined][]
  }
  const loads = new Set<UnderWay>()

  /** Runs one page load; its failure belongs to the thread and is shown there. */
  async function load(
    id: number,
    at: { before?: number; after?: number; limit?: number },
    done: (messages: readonly ThreadMessage[], full: boolean) => void,
    failed: (missing: boolean) => void,
  ): Promise<void> {
    const mine = generation
    const limit = at.limit ?? PAGE_SIZE
    const underWay: UnderWay = { id, events: [] }
    loads.add(underWay)
    try {
      const { messages, own } = await connection.ask('history', { conversation: id, ...at, limit })
      if (mine !== generation) return
      done(withOwn(messages, own), messages.length >= limit)
      threads.update(id, (thread) => {
        const apply = (ranges: Thread['ranges'], [event, sendKey]: [Event, string | undefined]) =>
          applyToRanges(ranges, event, myId(), sendKey)
        const ranges = underWay.events.reduce(apply, thread.ranges)
        const last = underWay.events.at(-1)?.[0].seq ?? 0
        return { ...thread, ranges, through: thread.through > 0 ? Math.max(thread.through, last) : 0 }
      })
      saveSoon()
    } catch (error) {
      if (mine !== generation) return
      failed(error instanceof Refused && error.code === 'not_found')
      if (error instanceof Disconnected) throw error
    } finally {
      loads.delete(underWay)
    }
  }

  function page(messages: readonly ThreadMessage[], more: Partial<Page>): Page {
    return { items: messages, atStart: false, atEnd: false, ...more }
  }

  async function loadLatest(id: number): Promise<void> {
    const through = conversations.get(id)?.head ?? 0
    await load(
      id,
      {},
      (messages, full) =>
        threads.update(id, (thread) => {
          const next = loaded(thread, page(messages, { atStart: !full, atEnd: true }), 'end')
          // Older runs may have missed edits: they are loaded again when somebody goes there.
          const tail = tailOf(next.ranges)
          return { ...next, ranges: tail ? [tail] : next.ranges, through: Math.max(next.through, through) }
        }),
      (missing) =>
        threads.update(id, (thread) =>
          thread.status === 'ready' && !missing
            ? thread
            : { ...thread, status: missing ? 'missing' : 'error' },
        ),
    )
  }

  async function loadOlder(id: number): Promise<void> {
    const thread = threads.get(id)
    const shown = shownRange(thread)
    if (!thread || !shown || shown.atStart || thread.older === 'loading' || shown.items.length === 0) return
    threads.set(id, { ...thread, older: 'loading' })
    const before = firstId(shown)
    await load(
      id,
      { before },
      (messages, full) =>
        threads.update(id, (now) => trimmed(loaded(now, page(messages, { atStart: !full, before })), 'old')),
      () => threads.update(id, (now) => ({ ...now, older: 'error' })),
    ).catch(() => {})
  }

  async function loadNewer(id: number): Promise<void> {
    const thread = threads.get(id)
    const shown = shownRange(thread)
    if (!thread || !shown || shown.atEnd || thread.newer === 'loading' || shown.items.length === 0) return
    threads.set(id, { ...thread, newer: 'loading' })
    const after = lastId(shown)
    await load(
      id,
      { after },
      (messages, full) =>
        threads.update(id, (now) => trimmed(loaded(now, page(messages, { atEnd: !full, after })), 'new')),
      () => threads.update(id, (now) => ({ ...now, newer: 'error' })),
    ).catch(() => {})
  }

  /** Shows a message, wherever it is; false when there is none. */
  async function jumpTo(id: number, message: number): Promise<boolean> {
    threads.touch(id)
    const thread = threads.get(id) as Thread
    if (rangeWith(thread.ranges, message)?.items.some((item) => item.id === message)) {
      threads.set(id, { ...thread, focus: message, older: 'idle', newer: 'idle' })
      return true
    }
    const found: { page: Page | null } = { page: null }
    const half = PAGE_SIZE / 2
    const older = load(
      id,
      { before: message + 1, limit: half },
      (messages, full) => {
        found.page = page(messages, { atStart: !full })
      },
      () => {},
    )
    await older.catch(() => {})
    if (found.page?.items.at(-1)?.id !== message) return false
    await load(
      id,
      { after: message, limit: half },
      (messages, full) => {
        const { items, atStart } = found.page as Page
        const around = page([...items, ...messages], { atStart, atEnd: !full })
        threads.update(id, (now) => ({ ...loaded(now, around, message), older: 'idle', newer: 'idle' }))
      },
      () => {},
    ).catch(() => {})
    return rangeWith(threads.get(id)?.ranges ?? [], message) !== undefined
  }

  async function showLatest(id: number): Promise<void> {
    const thread = threads.get(id)
    if (!thread) return
    if (tailOf(thread.ranges)) threads.set(id, { ...thread, focus: 'end', older: 'idle', newer: 'idle' })
    else await loadLatest(id).catch(() => {})
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
      entry = applyToEntry(entry, event, myId())
      // Whom one has blocked neither counts nor rings.
      if (event.kind === 'posted' && blocked.has(event.message.sender ?? 0))
        entry = { ...entry, me: { ...entry.me, unread: before.me.unread, mentions: before.me.mentions } }
      conversations.set(entry)
    } else if (next === null) void fetchEntry(id)

    let sendKey: string | undefined
    if (event.kind === 'posted') {
      const { message } = event
      if (message.sender === myId()) {
        const paired = isHere(entry, id)
        const alone = (to: Target) => !entry && 'user' in to
        sendKey = outbox.arrives(message, (to) => paired(to) || alone(to))
      } else {
        if (message.sender !== null) live.stopped(id, message.sender)
        if (next !== false) arrived(id, entry, message)
      }
    }
    parts.quotes.event(id, event)
    parts.notes.event(id, event)
    for (const load of loads) if (load.id === id) load.events.push([event, sendKey])
    const thread = threads.get(id)
    if (thread) {
      // A thread follows its log step by step: what it has is left alone, and nothing is put behind a hole.
      const follows = thread.status === 'ready' && thread.through > 0
      if (follows && event.seq > thread.through + 1) mend(id, thread.through)
      else if (!follows || event.seq > thread.through) {
        const ranges = applyToRanges(thread.ranges, event, myId(), sendKey)
        threads.set(id, { ...thread, ranges, through: follows ? event.seq : thread.through })
      }
    } else unopened.delete(id)
    if (event.kind === 'posted' && viewing === id) markRead(id)
    saveSoon()
  }

  const mending = new Set<number>()

  /** Has the server tell again what follows the last event that was not missed. */
  function mend(conversation: number, after: number) {
    if (mending.has(conversation)) return
    mending.add(conversation)
    connection
      .ask('resume', { logs: [{ log: { conversation }, after }] })
      .catch(() => {})
      .finally(() => mending.delete(conversation))
  }

  function arrived(id: number, entry: Entry | undefined, message: Message) {
    mark('delivered', id, message.id)
    if (message.sender === null || blocked.has(message.sender)) return
    const name = people.name(message.sender)
    if (name === undefined) people.ask(message.sender)
    if (entry && isMuted(entry) && !message.mentions.includes(myId())) return
    announcer.newMessage(name ?? 'someone', message.text ?? '')
    if (entry && viewing !== id) parts.notify(entry, message)
  }

  function userEvent(event: Event) {
    if (cursor !== null && event.seq <= cursor) return
    cursor = event.seq
    saveSoon()
    switch (event.kind) {
      case 'added':
        void fetchEntry(event.conversation)
        return
      case 'removed':
        return conversations.update(event.conversation, (entry) => ({ ...entry, me: withoutRole(entry.me) }))
      case 'hid':
        conversations.update(event.conversation, (entry) => ({
          ...entry,
          me: { ...entry.me, listed: (entry.last?.id ?? 0) > event.through, unread: 0, mentions: 0 },
        }))
        if (open === event.conversation) threads.set(event.conversation, LOADING)
        else threads.remove(event.conversation)
        unopened.delete(event.conversation)
        return
      case 'muted':
        return conversations.update(event.conversation, (entry) => {
          const { muted_until: _, ...rest } = entry.me
          return { ...entry, me: { ...rest, ...(event.until !== undefined && { muted_until: event.until }) } }
        })
      case 'archived':
        return conversations.update(event.conversation, (entry) => ({
          ...entry,
          me: { ...entry.me, archived: event.on },
        }))
      case 'read':
        return readElsewhere(event.conversation, event.up_to)
      case 'blocked': {
        const next = new Set(blocked)
        if (event.on) next.add(event.user)
        else next.delete(event.user)
        return setBlocked(next)
      }
      default:
        return
    }
  }

  /** The server's cursor is the only one: what it leaves unread is counted where that is known, else asked. */
  function readElsewhere(id: number, upTo: number) {
    const entry = conversations.get(id)
    if (!entry || upTo <= entry.me.read) return
    const unread = upTo >= (entry.last?.id ?? 0) ? 0 : null
    if (unread === null) void fetchEntry(id).then(() => undefined)
    else conversations.set({ ...entry, me: { ...entry.me, read: upTo, unread, mentions: 0 } })
  }

  function frame(frame: ServerFrame) {
    switch (frame.type) {
      case 'event': {
        const { log } = frame.body
        return 'user' in log ? userEvent(frame.body) : conversationEvent(log.conversation, frame.body)
      }
      case 'resync':
        return resync(frame.body.log, frame.body.seq)
      case 'signal':
        if (frame.body.kind === 'typing' && frame.body.user !== myId())
          live.typed(frame.body.conversation, frame.body.user)
        return
      case 'receipt':
        if (frame.body.user !== myId()) live.receipt(frame.body.conversation, frame.body.user, frame.body)
        return
      case 'presence':
        return live.presence(frame.body.user, frame.body.online)
      default:
        return
    }
  }

  function resync(log: LogId, seq: number) {
    if ('user' in log) {
      cursor = seq
      loadList().catch(() => {})
      void learnBlocked()
    } else {
      const id = log.conversation
      unopened.delete(id)
      void fetchEntry(id)
      if (id !== open) return threads.remove(id)
      threads.set(id, LOADING)
      loadLatest(id).catch(() => {})
    }
  }

  // --- Marks: gathered, and told at most once a second ---

  function mark(kind: 'read' | 'delivered', id: number, seq: number) {
    if ((marks[kind].get(id) ?? 0) >= seq) return
    marks[kind].set(id, seq)
    markTimer ??= setTimeout(tellMarks, kind === 'read' ? 100 : MARK_MS)
  }

  function tellMarks() {
    clearTimeout(markTimer)
    markTimer = undefined
    for (const kind of ['delivered', 'read'] as const) {
      if (!connection.offers(kind)) continue
      for (const [conversation, seq] of marks[kind])
        if (connection.tell(kind, { conversation, seq })) marks[kind].delete(conversation)
    }
  }

  function markRead(id: number) {
    const entry = conversations.get(id)
    const last = entry?.last?.id ?? 0
    if (!entry || (entry.me.read >= last && entry.me.unread === 0)) return
    conversations.set({ ...entry, me: { ...entry.me, read: last, unread: 0, mentions: 0 } })
    mark('read', id, last)
  }

  return {
    async begin(user: User, of: Local) {
      generation += 1
      const mine = generation
      me = user
      local = of
      people.learn([user])
      const snapshot = await of.load()
      if (mine === generation) remember(snapshot)
    },
    end() {
      generation += 1
      clearTimeout(saveTimer)
      clearTimeout(markTimer)
      saveTimer = undefined
      markTimer = undefined
      me = null
      local = null
      open = null
      viewing = null
      cursor = null
      blocked = new Set()
      watched = ''
      marks.read.clear()
      marks.delivered.clear()
      unopened.clear()
      fetching.clear()
      conversations.reset()
      threads.reset()
      people.reset()
      live.reset()
    },
    frame,
    resume,
    /** What was marked meanwhile is told now that there is a socket. */
    wentLive: tellMarks,
    save,

    loadMore: () => loadMore().catch(() => {}),
    fetchEntry,
    openThread(id: number | null) {
      open = id
      if (id === null) return
      const known = threads.get(id)
      threads.touch(id)
      revive(id)
      const thread = threads.get(id) as Thread
      if (!conversations.get(id)) void fetchEntry(id)
      const entry = conversations.get(id)
      const behind = entry !== undefined && thread.through < entry.head && !known
      if (thread.status === 'ready' && !behind) return
      if (thread.status !== 'ready') threads.set(id, { ...thread, status: 'loading' })
      loadLatest(id).catch(() => {})
    },
    loadLatest: (id: number) => loadLatest(id).catch(() => {}),
    showLatest,
    loadOlder,
    loadNewer,
    jumpTo,
    /** The end of thread `id` is before the reader's eyes; null when it no longer is. */
    setViewing(id: number | null) {
      viewing = id
      if (id !== null) markRead(id)
    },
    isBlocked: (user: number) => blocked.has(user),
    onBlocked(listener: () => void) {
      blockedListeners.add(listener)
      return () => void blockedListeners.delete(listener)
    },
  }
}

export type Chat = ReturnType<typeof createChat>
