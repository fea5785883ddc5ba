import type { Local, SavedTail, Snapshot } from '../storage/local'
import type { Conversations } from './conversations'
import type { People } from './people'
import { tailOf } from './ranges'
import type { Login } from './session'
import { LOADING, type Threads } from './threads'
import type { UserLog } from './userLog'

const SAVE_MS = 1_000

interface Parts {
  conversations: Conversations
  threads: Threads
  people: People
  userLog: UserLog
  login: Readonly<Login>
}

/** What the device remembers of the stores: saved as they change, put back when a login begins. */
export function createSnapshots({ conversations, threads, people, userLog, login }: Parts) {
  let local: Local | null = null
  let saveTimer: ReturnType<typeof setTimeout> | undefined
  /** Remembered pages of threads that were not opened since the page was loaded. */
  const unopened = new Map<number, SavedTail>()

  function saveSoon() {
    saveTimer ??= setTimeout(save, SAVE_MS)
  }

  function save() {
    clearTimeout(saveTimer)
    saveTimer = undefined
    const cursor = userLog.cursor()
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
      meta: { cursor, blocked: [...userLog.blocked()], names: names.map(([id, name]) => [Number(id), name]) },
      entries: [...conversations.list()],
      tails,
    }
    void local.save(snapshot)
  }

  function remember(snapshot: Snapshot) {
    if (!snapshot.meta) return
    userLog.remember(snapshot.meta.cursor, snapshot.meta.blocked)
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

  return {
    async begin(of: Local): Promise<void> {
      const mine = login.generation
      local = of
      const snapshot = await of.load()
      if (mine === login.generation) remember(snapshot)
    },
    save,
    saveSoon,
    revive,
    /** The remembered page of a conversation is out of date. */
    forget: (id: number) => void unopened.delete(id),
    reset() {
      clearTimeout(saveTimer)
      saveTimer = undefined
      local = null
      unopened.clear()
    },
  }
}
