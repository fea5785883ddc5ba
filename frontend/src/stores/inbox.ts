import type { Entry } from '../api/protocol'
import { type Connection, Refused } from '../realtime/connection'
import { type Conversations, peersOf } from './conversations'
import type { People } from './people'
import type { Login } from './session'

const INBOX_PAGE = 50

interface Parts {
  connection: Pick<Connection, 'ask' | 'offers'>
  conversations: Conversations
  people: People
  login: Readonly<Login>
  saveSoon(): void
}

/** Brings the list of conversations, page by page or one entry alone, and who of it is to be seen come and go. */
export function createInbox({ connection, conversations, people, login, saveSoon }: Parts) {
  const fetching = new Map<number, Promise<void>>()
  let watched = ''

  function learn(entries: readonly Entry[]) {
    people.learn(peersOf(entries))
  }

  /** The first pages, until nothing on one is news. */
  async function load(): Promise<void> {
    const mine = login.generation
    const known = new Map(conversations.list().map((entry) => [entry.conversation.id, entry]))
    const fresh: Entry[] = []
    let after: string | undefined
    for (;;) {
      const page = await connection.ask('inbox', { limit: INBOX_PAGE, ...(after && { after }) })
      if (mine !== login.generation) return
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
    const mine = login.generation
    const page = await connection.ask('inbox', { limit: INBOX_PAGE, after: next }).catch(() => null)
    if (page === null || mine !== login.generation) return
    learn(page.entries)
    conversations.page(page.entries, page.next ?? null)
    watch()
  }

  /** One conversation as the server has it now; once for however many ask. */
  function fetch(id: number): Promise<void> {
    const under = fetching.get(id)
    if (under) return under
    const mine = login.generation
    const run = connection
      .ask('conversation', { conversation: id })
      .then(
        ({ entry }) => {
          if (mine !== login.generation) return
          learn([entry])
          conversations.set(entry)
          watch()
          saveSoon()
        },
        (error) => {
          if (mine !== login.generation) return
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

  return {
    load,
    loadMore,
    fetch,
    /** A new socket shows nobody's presence yet. */
    reconnected() {
      watched = ''
    },
    reset() {
      watched = ''
      fetching.clear()
    },
  }
}

export type Inbox = ReturnType<typeof createInbox>
