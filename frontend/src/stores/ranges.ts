import type { Message } from '../api/protocol'

/**
 * What is loaded of one conversation: contiguous runs of its messages, ascending, apart from each other. Two
 * runs become one only when a page proves that nothing lies between, so a gap is never shown as adjacency.
 */
export interface Range {
  items: readonly ThreadMessage[]
  /** Nothing older exists. */
  atStart: boolean
  /** Nothing newer exists: live messages are appended here. */
  atEnd: boolean
}

export interface ThreadMessage extends Message {
  /** The key of the bubble that this message replaced: the row keeps its identity on screen. */
  sendKey?: string
  /** Reactions known to be one's own. */
  mine?: readonly string[]
}

/** What a server answered: consecutive messages. */
export interface Page extends Range {
  /** The message whose predecessors these are. */
  before?: number
  /** The message whose successors these are. */
  after?: number
}

/** Messages of a run, and runs of a conversation, that are kept at most. */
export const LONGEST = 1_000
export const MOST_RANGES = 4

export const firstId = (range: Range | undefined): number => range?.items[0]?.id ?? 0
export const lastId = (range: Range | undefined): number => range?.items.at(-1)?.id ?? 0

export const tailOf = (ranges: readonly Range[]): Range | undefined => ranges.find((range) => range.atEnd)

export const rangeWith = (ranges: readonly Range[], id: number): Range | undefined =>
  ranges.find((range) => firstId(range) <= id && id <= lastId(range))

/** The newer state of one message, with what only this client knows of it. */
export function fresher(old: ThreadMessage | undefined, fresh: ThreadMessage): ThreadMessage {
  if (!old) return fresh
  const newest = fresh.deleted || (!old.deleted && fresh.revision >= old.revision) ? fresh : old
  const sendKey = fresh.sendKey ?? old.sendKey
  const mine = (fresh.mine ?? old.mine)?.filter((emoji) =>
    newest.reactions.some((reaction) => reaction.emoji === emoji),
  )
  return { ...newest, ...(sendKey !== undefined && { sendKey }), ...(mine?.length && { mine }) }
}

/** A page with one's own reactions, which are told apart from its messages. */
export function withOwn(
  messages: readonly Message[],
  own: readonly { message: number; emoji: readonly string[] }[] = [],
): ThreadMessage[] {
  const byId = new Map(own.map(({ message, emoji }) => [message, emoji]))
  return messages.map((message) =>
    message.reactions.length > 0 ? { ...message, mine: byId.get(message.id) ?? [] } : message,
  )
}

function union(range: Range, page: Range): Range {
  const first = firstId(page)
  const last = lastId(page)
  const known = new Map(range.items.map((message) => [message.id, message]))
  // Inside its span the page is the truth; live messages may have outrun it.
  const outside = range.items.filter((message) => message.id < first || message.id > last)
  const items = [...outside, ...page.items.map((message) => fresher(known.get(message.id), message))]
  return {
    items: items.sort((a, b) => a.id - b.id),
    atStart: range.atStart || page.atStart,
    atEnd: range.atEnd || page.atEnd,
  }
}

function touches(range: Range, page: Page): boolean {
  const has = (id: number | undefined) => id !== undefined && range.items.some((message) => message.id === id)
  if (has(page.before) || has(page.after)) return true
  return page.items.some((message) => has(message.id))
}

export function withPage(ranges: readonly Range[], page: Page): Range[] {
  const { items, atStart, atEnd } = page
  let joined: Range = { items, atStart, atEnd }
  const apart: Range[] = []
  for (const range of ranges) {
    if (!touches(range, page)) apart.push(range)
    else joined = items.length > 0 ? union(range, joined) : absorb(range, joined)
  }
  if (joined.items.length === 0) {
    // Nothing at all: there is only one such conversation, an empty one.
    return atStart && atEnd && apart.length === 0 ? [joined] : apart
  }
  // Only one run reaches each end; an older claim was made before what came since.
  const others = apart
    .filter((range) => range.items.length > 0)
    .map((range) => ({
      ...range,
      atStart: range.atStart && !joined.atStart,
      atEnd: range.atEnd && !joined.atEnd,
    }))
  return [...others, joined].sort((a, b) => firstId(a) - firstId(b))
}

/** An empty page only tells that a run has reached an end. */
const absorb = (range: Range, page: Range): Range =>
  range.items.length === 0
    ? page
    : {
        items: page.items.length > 0 ? page.items : range.items,
        atStart: range.atStart || page.atStart,
        atEnd: range.atEnd || page.atEnd,
      }

/** A live message belongs to the run that reaches the end, and nowhere else. */
export function withLive(ranges: readonly Range[], message: ThreadMessage): readonly Range[] {
  return ranges.map((range) => {
    if (!range.atEnd || message.id <= lastId(range)) return range
    return cut({ ...range, items: [...range.items, message] }, 'old')
  })
}

/** Lets go of what is too much, at the end where nobody is. */
export function cut(range: Range, side: 'old' | 'new'): Range {
  if (range.items.length <= LONGEST) return range
  return side === 'old'
    ? { ...range, items: range.items.slice(-LONGEST), atStart: false }
    : { ...range, items: range.items.slice(0, LONGEST), atEnd: false }
}

/** Not more runs than may be: the one with `focus` stays, then the last one, then the longest. */
export function fewest(ranges: readonly Range[], focus: number): readonly Range[] {
  if (ranges.length <= MOST_RANGES) return ranges
  const worth = (range: Range) =>
    (range === rangeWith(ranges, focus) ? 1e9 : 0) + (range.atEnd ? 1e8 : 0) + range.items.length
  const kept = [...ranges].sort((a, b) => worth(b) - worth(a)).slice(0, MOST_RANGES)
  return ranges.filter((range) => kept.includes(range))
}

export function withChanged(
  ranges: readonly Range[],
  id: number,
  change: (message: ThreadMessage) => ThreadMessage,
): readonly Range[] {
  if (!ranges.some((range) => range.items.some((message) => message.id === id))) return ranges
  return ranges.map((range) => ({
    ...range,
    items: range.items.map((message) => (message.id === id ? change(message) : message)),
  }))
}
