import { ApiError, createApi } from '../api/client'
import type { User } from '../api/protocol'
import { exclusively } from '../lib/locks'
import { createConnection, Disconnected, Refused } from '../realtime/connection'
import { createRenewal } from '../realtime/renewal'
import { createLocal, type Local } from '../storage/local'
import { createActions } from '../stores/actions'
import { createAnnouncer } from '../stores/announcer'
import { createChat } from '../stores/chat'
import type { Services } from '../stores/context'
import { createConversations } from '../stores/conversations'
import { createDrafts } from '../stores/drafts'
import { createLive } from '../stores/live'
import { createMembers } from '../stores/members'
import { createNotes } from '../stores/notes'
import { createOutbox, type Trouble } from '../stores/outbox'
import { createPeople } from '../stores/people'
import { createPreferences } from '../stores/preferences'
import { createQuotes } from '../stores/quotes'
import { createSessionStore, lastUser } from '../stores/session'
import { createThreads } from '../stores/threads'
import { createToasts } from '../stores/toasts'
import { notify } from './notify'

type TabMessage = 'login' | 'logout' | 'outbox'

/** Refusals that are not about the message: it is sent again. */
const PASSING = new Set(['rate_limited', 'busy', 'unavailable', 'internal'])
const PATIENCE_MS = 1_000
const LOOK_MS = 60_000

function trouble(error: unknown): Trouble {
  if (error instanceof Refused)
    return PASSING.has(error.code)
      ? { again: error.retryAfterMs ?? PATIENCE_MS }
      : { again: null, detail: error.message }
  if (error instanceof Disconnected) return { again: 'later' }
  return { again: null, detail: error instanceof Error ? error.message : String(error) }
}

/** Builds everything once and ties it together. */
export function createServices(): Services {
  const api = createApi(() => connection.dispatch({ type: 'unauthorized' }))
  const session = createSessionStore()
  const preferences = createPreferences(localStorage)
  const conversations = createConversations()
  const threads = createThreads()
  const drafts = createDrafts()
  const live = createLive()
  const announcer = createAnnouncer()
  const toasts = createToasts()
  const tabs = new BroadcastChannel('chat')
  let local: Local | null = null

  const connection = createConnection({
    onFrame: (frame) => chat.frame(frame),
    async resume(hello) {
      if (hello.user === userId()) return chat.resume(hello)
      // Somebody else logged in with this browser meanwhile.
      void check()
      throw new Disconnected()
    },
  })
  // Not while somebody logs out, in whatever tab: a late answer would log them in again.
  const onLogin = <T>(work: () => Promise<T>) => exclusively('chat.login', work)
  const renewal = createRenewal({
    isLive: () => connection.state.getState().name === 'live',
    renew: () => onLogin(api.renew),
    adopt: (token) => connection.ask('renew', { token }),
  })
  const people = createPeople(async (id) => (await connection.ask('user', { user: id })).user)
  const outbox = createOutbox({
    post: (send) =>
      connection.write('post', {
        key: send.key,
        to: send.to,
        text: send.text,
        ...(send.replyTo !== null && { reply_to: send.replyTo }),
        ...(send.mentions.length > 0 && { mentions: send.mentions }),
      }),
    trouble,
    isLive: () => connection.state.getState().name === 'live',
    exclusively: (work) => exclusively(`chat.outbox.${userId()}`, work),
    changed: () => tabs.postMessage('outbox' satisfies TabMessage),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  })
  const quotes = createQuotes((conversation, id) =>
    connection.ask('history', { conversation, before: id + 1, limit: 1 }),
  )
  const members = createMembers(async (conversation, after) => {
    const page = await connection.ask('members', {
      conversation,
      limit: 100,
      ...(after !== null && { after }),
    })
    // What was told before this device was there.
    for (const { user, read, delivered } of page.members)
      if (read !== undefined && delivered !== undefined && user !== userId())
        live.receipt(conversation, user, { read, delivered })
    return page
  })
  const notes = createNotes((conversation, after, limit) =>
    connection.ask('log', { log: { conversation }, after, limit }),
  )
  const chat = createChat({
    connection,
    conversations,
    threads,
    outbox,
    people,
    live,
    quotes,
    notes,
    announcer,
    notify: (entry, message) => notify(preferences, people, entry, message),
  })
  const actions = createActions({ connection, threads, toasts })

  const userId = () => {
    const now = session.getState()
    return now.status === 'active' ? now.user.id : 0
  }

  /** Who was in this tab last. */
  let here: number | null = null

  async function begin(user: User) {
    const mine = createLocal(user.id)
    local = mine
    here = user.id
    lastUser.set(user)
    await Promise.all([chat.begin(user, mine), outbox.begin(mine), drafts.begin(mine)])
    if (local !== mine) return
    session.setState({ status: 'active', user }, true)
    connection.dispatch({ type: 'start', online: navigator.onLine })
  }

  /** The login is over. Only who logs out has nothing left on the device. */
  async function end(notice: string | null, forGood: boolean) {
    // The socket may have told of the end before the tab that logged out did: what was kept then has to go, too.
    const old = local ?? (forGood && here !== null ? createLocal(here) : null)
    local = null
    connection.dispatch({ type: 'stop' })
    if (!forGood) {
      drafts.save()
      chat.save()
    }
    chat.end()
    quotes.reset()
    members.reset()
    notes.reset()
    outbox.end()
    drafts.end()
    if (forGood) lastUser.set(null)
    session.setState({ status: 'anonymous', notice }, true)
    if (forGood) await old?.clear()
    await old?.close()
  }

  let checking = false
  async function check() {
    if (checking) return
    checking = true
    try {
      const { user } = await api.session()
      const known: User = { id: user.id, name: user.username }
      const now = session.getState()
      if (now.status === 'active') {
        if (now.user.id === known.id) return
        await end(null, false)
      }
      await begin(known)
    } catch (error) {
      const now = session.getState()
      if (error instanceof ApiError && error.status === 401) await end(null, false)
      else if (now.status !== 'active') {
        // Without a network, what the device remembers is there to be read and written on.
        const last = lastUser.get()
        if (last) await begin(last)
        else session.setState({ status: 'unreachable' }, true)
      }
    } finally {
      checking = false
    }
  }

  connection.state.subscribe((state, before) => {
    if (state.name === 'stopped' && state.reason === 'expired')
      void end('Your session has ended. Log in again.', false)
    if (state.name === 'live') {
      chat.wentLive()
      void outbox.flush()
      void renewal.look()
    }
    if (before.name === 'live') live.disconnected()
  })
  tabs.onmessage = ({ data }: MessageEvent<TabMessage>) => {
    if (data === 'login') void check()
    else if (data === 'logout') void end(null, true)
    else void outbox.reload()
  }
  const keep = () => {
    drafts.save()
    chat.save()
  }
  addEventListener('pagehide', keep)
  document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && keep())
  connection.greeting.subscribe(({ hello }) => renewal.met(hello?.expires_at))
  setInterval(renewal.look, LOOK_MS)
  preferences.begin()
  connection.watchBrowser()
  // Who was here last sees at once what the device has kept; whether they still are who they were is told by the socket.
  const last = lastUser.get()
  if (last) void begin(last)
  else void check()

  return {
    api,
    session,
    preferences,
    connection,
    conversations,
    threads,
    outbox,
    drafts,
    quotes,
    members,
    notes,
    people,
    live,
    announcer,
    toasts,
    chat,
    actions,
    account: {
      check,
      async login(username, password) {
        const { user } = await api.login(username, password)
        await begin({ id: user.id, name: user.username })
        tabs.postMessage('login' satisfies TabMessage)
      },
      async unsent() {
        drafts.save()
        const [sends, kept] = await Promise.all([local?.sends(), local?.drafts()])
        const written = [...(kept?.values() ?? [])].filter(({ text }) => text.trim() !== '')
        return { messages: sends?.length ?? 0, drafts: written.length }
      },
      async logout() {
        await onLogin(api.logout).catch((error) => {
          // Without a session there is nothing left to end.
          if (!(error instanceof ApiError && error.status === 401)) throw error
        })
        tabs.postMessage('logout' satisfies TabMessage)
        await end(null, true)
      },
    },
  }
}
