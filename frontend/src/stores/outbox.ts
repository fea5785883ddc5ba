import { createStore } from 'zustand/vanilla'
import type { Message, Written } from '../api/protocol'
import { uuidv7 } from '../lib/uuid'
import { byKey, type Local, type Send } from '../storage/local'

export type Target = Send['to']

export const sameTarget = (a: Target, b: Target): boolean =>
  'conversation' in a
    ? 'conversation' in b && a.conversation === b.conversation
    : 'user' in b && a.user === b.user

/** What to do about a send that was not acknowledged. */
export type Trouble =
  /** The connection went: again, with the same key, as soon as there is one. */
  | { again: 'later' }
  /** The server asks for patience. */
  | { again: number }
  | { again: null; detail: string }

interface Parts {
  /** Hands a message to the server; resolves when it is stored. */
  post(send: Send): Promise<Written>
  trouble(error: unknown): Trouble
  isLive(): boolean
  /** One tab at a time, so that what two tabs wrote leaves in one order. */
  exclusively(work: () => Promise<void>): Promise<void>
  /** Other tabs look again. */
  changed(): void
  pause(ms: number): Promise<void>
}

export interface OutboxState {
  sends: readonly Send[]
  /** Bubbles whose message has arrived, by key: not drawn twice while the acknowledgement is on its way. */
  arrived: Readonly<Record<string, number>>
}

/** Longer, and a burst of the network's bad luck would hold everything up. */
const MOST_PATIENCE_MS = 30_000

/**
 * What was written and is not at the server yet: kept on the device before it is sent, sent in the order
 * written, one at a time, and taken away when the server has acknowledged it.
 */
export function createOutbox(parts: Parts) {
  const state = createStore<OutboxState>(() => ({ sends: [], arrived: {} }))
  let local: Local | null = null
  let flushing = false
  let again = false

  const get = () => state.getState().sends
  const mirror = (sends: readonly Send[]) => state.setState({ sends })

  function taken(key: string) {
    const { [key]: _, ...arrived } = state.getState().arrived
    state.setState({ sends: get().filter((send) => send.key !== key), arrived })
  }

  function replaced(send: Send) {
    mirror([...get().filter((other) => other.key !== send.key), send].sort(byKey))
  }

  /** What the device holds is the truth; what this page is about to store is not there yet. */
  const storing = new Set<string>()
  async function reload() {
    const kept = await local?.sends()
    if (!kept) return
    const known = new Set(kept.map((send) => send.key))
    const waiting = get().filter((send) => storing.has(send.key) && !known.has(send.key))
    mirror([...kept, ...waiting].sort(byKey))
  }

  async function drain() {
    const mine = local
    if (!mine) return
    let tries = 0
    await reload()
    while (parts.isLive() && local === mine) {
      const send = (await mine.sends()).find((other) => other.failed === null)
      if (!send) return
      try {
        await parts.post(send)
        tries = 0
        await mine.removeSend(send.key)
        if (local !== mine) return
        taken(send.key)
      } catch (error) {
        const trouble = parts.trouble(error)
        if (trouble.again === 'later') return
        if (trouble.again === null) {
          const failed = { ...send, failed: trouble.detail }
          await mine.putSend(failed)
          if (local === mine) replaced(failed)
        } else {
          tries += 1
          await parts.pause(Math.min(MOST_PATIENCE_MS, trouble.again * 2 ** Math.min(tries - 1, 6)))
        }
      }
      parts.changed()
    }
  }

  async function flush() {
    if (flushing) {
      again = true
      return
    }
    flushing = true
    try {
      do {
        again = false
        if (parts.isLive()) await parts.exclusively(drain)
      } while (again)
    } finally {
      flushing = false
    }
  }

  async function store(send: Send) {
    replaced(send)
    storing.add(send.key)
    await local?.putSend(send)
    storing.delete(send.key)
    parts.changed()
    await flush()
  }

  return {
    state,
    get,
    flush,
    reload,
    async begin(of: Local) {
      local = of
      await reload()
    },
    end() {
      local = null
      state.setState({ sends: [], arrived: {} }, true)
    },
    /** The bubble is there at once; the rest goes its way. */
    add(to: Target, text: string, replyTo: number | null, mentions: readonly number[]): Send {
      const send = { key: uuidv7(), to, text, replyTo, mentions, createdAt: Date.now(), failed: null }
      void store(send)
      return send
    },
    /** A refused one again: with the same key, as it may have happened after all. */
    retry(key: string) {
      const send = get().find((other) => other.key === key)
      if (send?.failed != null) void store({ ...send, failed: null })
    },
    async discard(key: string) {
      taken(key)
      await local?.removeSend(key)
      parts.changed()
    },
    /** The key of the bubble that a message of one's own replaces, if it is one of these. */
    arrives(message: Message, isHere: (to: Target) => boolean): string | undefined {
      const { arrived, sends } = state.getState()
      const send = sends.find(
        (other) =>
          other.failed === null &&
          arrived[other.key] === undefined &&
          other.text === message.text &&
          isHere(other.to),
      )
      if (!send) return undefined
      state.setState({ arrived: { ...arrived, [send.key]: message.id } })
      return send.key
    },
  }
}

export type Outbox = ReturnType<typeof createOutbox>
