import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import type { Entry } from '../api/protocol'
import type { ThreadMessage } from '../stores/ranges'

/** A message on its way, as it is kept until the server has it. */
export interface Send {
  /** A UUIDv7: its order is the order of writing, and it makes a retry harmless. */
  key: string
  to: { conversation: number } | { user: number }
  text: string
  replyTo: number | null
  mentions: readonly number[]
  createdAt: number
  /** Refused by the server: for its writer to mend. */
  failed: string | null
}

export interface Draft {
  text: string
  replyTo: number | null
}

/** The end of a conversation as it was last seen. */
export interface SavedTail {
  conversation: number
  items: readonly ThreadMessage[]
  atStart: boolean
  through: number
}

export interface Meta {
  /** The place in one's own log. */
  cursor: number
  blocked: readonly number[]
  names: readonly (readonly [number, string])[]
}

export interface Snapshot {
  meta: Meta | null
  entries: Entry[]
  tails: SavedTail[]
}

interface Schema extends DBSchema {
  outbox: { key: string; value: Send }
  drafts: { key: string; value: Draft }
  entries: { key: number; value: Entry }
  tails: { key: number; value: SavedTail }
  meta: { key: string; value: Meta }
}

const STORES = ['outbox', 'drafts', 'entries', 'tails', 'meta'] as const
/** Bounds of what is kept on the device. */
export const KEPT = { entries: 100, tails: 30, items: 50, names: 500, drafts: 200 } as const

/** What the device remembers of one user. It answers as if empty where the browser keeps nothing. */
export function createLocal(user: number) {
  let database: Promise<IDBPDatabase<Schema>> | null = null
  let cleared = false
  /** Where there is no database the page itself remembers what must not be lost. */
  const memory = { outbox: new Map<string, Send>(), drafts: new Map<string, Draft>() }

  function open() {
    database ??= openDB<Schema>(`chat-${user}`, 1, {
      upgrade(db) {
        db.createObjectStore('outbox', { keyPath: 'key' })
        db.createObjectStore('drafts')
        db.createObjectStore('entries', { keyPath: 'conversation.id' })
        db.createObjectStore('tails', { keyPath: 'conversation' })
        db.createObjectStore('meta')
      },
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
      terminated: () => {
        database = null
      },
    })
    return database
  }

  async function tried<T>(work: (db: IDBPDatabase<Schema>) => Promise<T>, instead: () => T): Promise<T> {
    if (cleared) return instead()
    try {
      return await work(await open())
    } catch {
      return instead()
    }
  }

  return {
    sends: () =>
      tried<Send[]>(
        async (db) => [...(await db.getAll('outbox')), ...memory.outbox.values()].sort(byKey),
        () => [...memory.outbox.values()].sort(byKey),
      ),
    putSend: (send: Send) =>
      tried<unknown>(
        (db) => db.put('outbox', send),
        () => memory.outbox.set(send.key, send),
      ),
    removeSend: (key: string) => {
      memory.outbox.delete(key)
      return tried<unknown>(
        (db) => db.delete('outbox', key),
        () => undefined,
      )
    },

    drafts: () =>
      tried<Map<string, Draft>>(
        async (db) => {
          const keys = await db.getAllKeys('drafts')
          const drafts = await db.getAll('drafts')
          return new Map(keys.map((key, place) => [key, drafts[place] as Draft]))
        },
        () => memory.drafts,
      ),
    putDraft: (key: string, draft: Draft | null) =>
      tried<unknown>(
        (db) => (draft ? db.put('drafts', draft, key) : db.delete('drafts', key)),
        () => (draft ? memory.drafts.set(key, draft) : memory.drafts.delete(key)),
      ),

    load: () =>
      tried<Snapshot>(
        async (db) => ({
          meta: (await db.get('meta', 'meta')) ?? null,
          entries: await db.getAll('entries'),
          tails: await db.getAll('tails'),
        }),
        () => ({ meta: null, entries: [], tails: [] }),
      ),
    /** What is not in the snapshot is forgotten. */
    save: (snapshot: Snapshot) =>
      tried<unknown>(
        async (db) => {
          const work = db.transaction(['entries', 'tails', 'meta'], 'readwrite')
          const [entries, tails] = [work.objectStore('entries'), work.objectStore('tails')]
          entries.clear()
          tails.clear()
          for (const entry of snapshot.entries.slice(0, KEPT.entries)) entries.put(entry)
          for (const tail of snapshot.tails.slice(0, KEPT.tails))
            tails.put({
              ...tail,
              items: tail.items.slice(-KEPT.items),
              atStart: tail.atStart && tail.items.length <= KEPT.items,
            })
          if (snapshot.meta)
            work
              .objectStore('meta')
              .put({ ...snapshot.meta, names: snapshot.meta.names.slice(-KEPT.names) }, 'meta')
          await work.done
        },
        () => undefined,
      ),
    /** Everything of this user, for good: they logged out. */
    async clear() {
      memory.outbox.clear()
      memory.drafts.clear()
      await tried<unknown>(
        async (db) => {
          const work = db.transaction(STORES, 'readwrite')
          for (const store of STORES) work.objectStore(store).clear()
          await work.done
        },
        () => undefined,
      )
      cleared = true
    },
    async close() {
      const open = database
      database = null
      cleared = true
      await open?.then((db) => db.close()).catch(() => {})
    },
  }
}

export type Local = ReturnType<typeof createLocal>

export const byKey = (a: Send, b: Send): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
