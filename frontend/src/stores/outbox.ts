import { createStore } from 'zustand/vanilla'
import type { Message } from '../api/types'

/** Where a message goes: a conversation, or a person with whom there is none yet. */
export type Target = { conversationId: number } | { userId: number }

export interface PendingSend {
  /** This page's own number for the bubble. */
  id: number
  target: Target
  content: string
  createdAt: number
  /** Newest message known when it was handed to the socket: an echo can only be newer. */
  floor: number
  /**
   * queued: not handed to a socket yet · sending: handed over, echo awaited · unknown: the socket dropped
   * before the echo · unconfirmed: not found in the history either · failed: refused by the server
   */
  status: 'queued' | 'sending' | 'unknown' | 'unconfirmed' | 'failed'
  /** Number of the attempt, that an error frame carries back. */
  ref: number
  detail: string | null
}

export const sameTarget = (a: Target, b: Target): boolean =>
  'conversationId' in a
    ? 'conversationId' in b && a.conversationId === b.conversationId
    : 'userId' in b && a.userId === b.userId

/** Line ends are the only thing a transport may rewrite. */
const normal = (content: string) => content.replace(/\r\n?/g, '\n').trim()

/**
 * The basic profile has no acknowledgement, so an own message that comes back is matched to what was sent:
 * the first send of the same content on this socket, else one whose outcome was in doubt.
 */
export function matchEcho(
  sends: readonly PendingSend[],
  message: Message,
  /** The other party; null in a group; undefined when the conversation is not known yet. */
  peerId: number | null | undefined,
): PendingSend | undefined {
  const fits = (send: PendingSend) =>
    (sameTarget(send.target, { conversationId: message.conversation_id }) ||
      ('userId' in send.target && (peerId === undefined || send.target.userId === peerId))) &&
    message.id > send.floor &&
    normal(send.content) === normal(message.content)
  return (
    sends.find((send) => send.status === 'sending' && fits(send)) ??
    sends.find((send) => (send.status === 'unknown' || send.status === 'unconfirmed') && fits(send))
  )
}

/** Without a floor only the time tells an old message of the same words from the one just sent. */
const CLOCK_SKEW_MS = 120_000

/** Unknown sends of one target against the history after their floor: what is found there was sent. */
export function reconcile(
  sends: readonly PendingSend[],
  target: Target,
  history: readonly Message[],
  ownId: number,
  claimed: ReadonlySet<number>,
): { sends: PendingSend[]; found: Map<number, number> } {
  const free = history.filter((message) => message.sender_id === ownId && !claimed.has(message.id))
  const found = new Map<number, number>()
  const rest: PendingSend[] = []
  for (const send of sends) {
    if (send.status !== 'unknown' || !sameTarget(send.target, target)) {
      rest.push(send)
      continue
    }
    const index = free.findIndex(
      (message) =>
        message.id > send.floor &&
        normal(message.content) === normal(send.content) &&
        (send.floor > 0 || Date.parse(message.timestamp) > send.createdAt - CLOCK_SKEW_MS),
    )
    const match = free[index]
    if (match) {
      free.splice(index, 1)
      found.set(send.id, match.id)
    } else {
      rest.push({ ...send, status: 'unconfirmed', detail: null })
    }
  }
  return { sends: rest, found }
}

export function createOutbox() {
  const state = createStore<{ sends: readonly PendingSend[] }>(() => ({ sends: [] }))
  let counter = 0
  const get = () => state.getState().sends
  const put = (sends: readonly PendingSend[]) => state.setState({ sends })
  const patch = (id: number, change: Partial<PendingSend>) =>
    put(get().map((send) => (send.id === id ? { ...send, ...change } : send)))
  const next = () => {
    counter += 1
    return counter
  }

  return {
    state,
    get,
    put,
    patch,
    add(target: Target, content: string): PendingSend {
      const id = next()
      const send: PendingSend = {
        id,
        target,
        content,
        createdAt: Date.now(),
        floor: 0,
        status: 'queued',
        ref: id,
        detail: null,
      }
      put([...get(), send])
      return send
    },
    /** Again, as the newest: echoes come in the order sent. */
    requeue(id: number) {
      const send = get().find((other) => other.id === id)
      if (!send || send.status === 'queued' || send.status === 'sending') return
      put([
        ...get().filter((other) => other.id !== id),
        { ...send, status: 'queued', ref: next(), detail: null },
      ])
    },
    remove: (id: number) => put(get().filter((send) => send.id !== id)),
    refused(ref: number | null, detail: string) {
      const sending = get().filter((send) => send.status === 'sending')
      const send =
        ref === null ? (sending.length === 1 ? sending[0] : undefined) : sending.find((s) => s.ref === ref)
      if (send) patch(send.id, { status: 'failed', detail })
    },
    dropped: () =>
      put(get().map((send) => (send.status === 'sending' ? { ...send, status: 'unknown' as const } : send))),
    /** The conversation that a first message made takes over what else waits for that person. */
    retarget: (userId: number, conversationId: number) =>
      put(
        get().map((send) =>
          sameTarget(send.target, { userId }) ? { ...send, target: { conversationId } } : send,
        ),
      ),
    reset: () => put([]),
  }
}

export type Outbox = ReturnType<typeof createOutbox>
