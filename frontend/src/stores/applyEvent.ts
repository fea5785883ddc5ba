import type { Entry, Event, Message } from '../api/protocol'
import { fresher, type Range, type ThreadMessage, withChanged, withLive } from './ranges'

/** What events of a conversation's log do to what is known of it. Pure, and exhaustive by kind. */

const erased = (message: Message): Message => {
  const { text: _, edited_at: __, ...rest } = message
  return { ...rest, reactions: [], mentions: [], deleted: true }
}

/** The entry after the next event of its log. Events must come without holes: see `isNext`. */
export function applyToEntry(entry: Entry, event: Event, me: number): Entry {
  const { conversation } = entry
  const next: Entry = { ...entry, head: event.seq }
  switch (event.kind) {
    case 'posted': {
      const { message } = event
      next.last = message
      next.messages = Math.max(entry.messages, message.number)
      next.at = event.at
      next.me =
        message.sender === me
          ? { ...entry.me, listed: true, read: message.id, unread: 0, mentions: 0 }
          : {
              ...entry.me,
              listed: true,
              unread: entry.me.unread + 1,
              mentions: entry.me.mentions + Number(message.mentions.includes(me)),
            }
      return next
    }
    case 'edited':
      if (entry.last?.id === event.message.id) next.last = event.message
      return next
    case 'deleted':
      if (entry.last?.id === event.message) next.last = erased(entry.last)
      next.conversation = { ...conversation, pins: conversation.pins.filter((pin) => pin !== event.message) }
      return next
    case 'pinned': {
      const others = conversation.pins.filter((pin) => pin !== event.message)
      next.conversation = { ...conversation, pins: event.on ? [...others, event.message] : others }
      return next
    }
    case 'joined':
      next.conversation = { ...conversation, members: conversation.members + 1 }
      if (event.user === me) next.me = { ...entry.me, role: event.role }
      return next
    case 'left':
      next.conversation = { ...conversation, members: Math.max(0, conversation.members - 1) }
      if (event.user === me) next.me = withoutRole(entry.me)
      return next
    case 'role_changed':
      if (event.role === 'owner') next.conversation = { ...conversation, owner: event.user }
      if (event.user === me) next.me = { ...entry.me, role: event.role }
      return next
    case 'configured': {
      const { title: _, ...rest } = conversation
      next.conversation = {
        ...rest,
        history: event.history,
        ...(event.title !== undefined && { title: event.title }),
      }
      return next
    }
    default:
      // `hidden`, `created`, `reacted`, and kinds of a later server: only the cursor moves.
      return next
  }
}

export function withoutRole(me: Entry['me']): Entry['me'] {
  const { role: _, ...rest } = me
  return rest
}

/** Whether an event follows what an entry knows: `false` was seen already, null leaves a hole. */
export const isNext = (entry: Entry, seq: number): boolean | null =>
  seq <= entry.head ? false : seq === entry.head + 1 ? true : null

/** The loaded messages after an event. Told twice, it changes nothing the second time. */
export function applyToRanges(
  ranges: readonly Range[],
  event: Event,
  me: number,
  sendKey?: string,
): readonly Range[] {
  switch (event.kind) {
    case 'posted':
      return withLive(ranges, sendKey === undefined ? event.message : { ...event.message, sendKey })
    case 'edited':
      return withChanged(ranges, event.message.id, (old) => fresher(old, event.message))
    case 'deleted':
      return withChanged(ranges, event.message, (old) => erased(old) as ThreadMessage)
    case 'reacted':
      return withChanged(ranges, event.message, (old) => {
        const reacted = withReaction(old, event.emoji, event.count)
        return event.actor === me ? withMine(reacted, event.emoji, event.on) : reacted
      })
    default:
      return ranges
  }
}

function withReaction(message: ThreadMessage, emoji: string, count: number): ThreadMessage {
  const others = message.reactions.filter((reaction) => reaction.emoji !== emoji)
  if (count === 0) return { ...message, reactions: others }
  const known = message.reactions.some((reaction) => reaction.emoji === emoji)
  if (!known) return { ...message, reactions: [...others, { emoji, count }] }
  const reactions = message.reactions.map((reaction) =>
    reaction.emoji === emoji ? { emoji, count } : reaction,
  )
  return { ...message, reactions }
}

export function withMine(message: ThreadMessage, emoji: string, on: boolean): ThreadMessage {
  const others = message.mine?.filter((other) => other !== emoji) ?? []
  return { ...message, mine: on ? [...others, emoji] : others }
}
