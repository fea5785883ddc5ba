import type { Writes, Written } from '../api/protocol'
import { uuidv7 } from '../lib/uuid'
import { type Connection, Disconnected, Refused } from '../realtime/connection'
import { withMine } from './applyEvent'
import { REPEAT_MS } from './live'
import { withChanged } from './ranges'
import type { Threads } from './threads'
import type { Toasts } from './toasts'

/** How long a write that lost its socket waits for the next one. */
const PATIENCE_MS = 20_000

interface Parts {
  connection: Pick<Connection, 'write' | 'tell' | 'offers' | 'state'>
  threads: Threads
  toasts: Toasts
}

/** Every write but a new message: one try, repeated with the same key when the socket goes in between. */
export function createActions({ connection, threads, toasts }: Parts) {
  function whenLive(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (connection.state.getState().name === 'live') return resolve()
      const stop = connection.state.subscribe((state) => {
        if (state.name !== 'live') return
        finish()
        resolve()
      })
      const timer = setTimeout(
        () => {
          finish()
          reject(new Disconnected())
        },
        Math.max(0, until - Date.now()),
      )
      function finish() {
        stop()
        clearTimeout(timer)
      }
    })
  }

  async function write<T extends keyof Writes>(type: T, body: Writes[T]): Promise<Written> {
    const keyed = { ...body, key: uuidv7() }
    const until = Date.now() + PATIENCE_MS
    for (;;) {
      try {
        return await connection.write(type, keyed)
      } catch (error) {
        if (!(error instanceof Disconnected) || Date.now() >= until) throw error
        if (!navigator.onLine) throw error
        await whenLive(until)
      }
    }
  }

  /** For what has no place of its own to say what went wrong. */
  async function tried<T extends keyof Writes>(type: T, body: Writes[T]): Promise<Written | null> {
    try {
      return await write(type, body)
    } catch (error) {
      toasts.show(error instanceof Error ? error.message : String(error))
      return null
    }
  }

  const typed = new Map<number, number>()

  return {
    write,
    tried,
    /** Puts a reaction on, or takes one's own off. */
    async react(conversation: number, message: number, emoji: string, mine: boolean) {
      const body = { conversation, message, emoji, on: !mine }
      if (!(await tried('react', body))) return
      threads.update(conversation, (thread) => ({
        ...thread,
        ranges: withChanged(thread.ranges, message, (old) => withMine(old, emoji, !mine)),
      }))
    },
    /** Told to the others at most every few seconds. */
    typing(conversation: number) {
      const now = Date.now()
      if (now - (typed.get(conversation) ?? 0) < REPEAT_MS || !connection.offers('signal')) return
      typed.set(conversation, now)
      connection.tell('signal', { conversation, kind: 'typing' })
    },
    /** The next letter is told at once: what was typed is sent. */
    rested: (conversation: number) => void typed.delete(conversation),
  }
}

export type Actions = ReturnType<typeof createActions>

export const isConflict = (error: unknown): boolean => error instanceof Refused && error.code === 'conflict'
