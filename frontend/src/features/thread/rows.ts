import { dayKey } from '../../lib/time'
import type { Send } from '../../storage/local'
import { gathered, type Note } from '../../stores/notes'
import type { ThreadMessage } from '../../stores/ranges'

/** What the log draws, one after the other. */
export type Row =
  | { type: 'day'; key: string; at: string }
  | { type: 'new'; key: string }
  | { type: 'message'; key: string; message: ThreadMessage; first: boolean; last: boolean }
  | { type: 'note'; key: string; note: Note }
  | { type: 'pending'; key: string; send: Send; first: boolean; last: boolean }

/** The rows of one calendar day. */
export interface Day {
  key: string
  rows: readonly Row[]
}

/** Each day apart, so that its label goes when its last message goes. */
export function byDay(rows: readonly Row[]): Day[] {
  const days: { key: string; rows: Row[] }[] = []
  for (const row of rows) {
    if (row.type === 'day') days.push({ key: row.key, rows: [] })
    days.at(-1)?.rows.push(row)
  }
  return days
}

const GROUP_MS = 5 * 60_000

interface Entry {
  sender: number | null
  at: string
  day: string
  message?: ThreadMessage
  note?: Note
  send?: Send
}

/** One run of one sender: same day, no long silence between. */
const together = (a: Entry | undefined, b: Entry | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  !a.note &&
  !b.note &&
  a.sender === b.sender &&
  a.day === b.day &&
  Date.parse(b.at) - Date.parse(a.at) < GROUP_MS

/**
 * The first message that somebody else wrote after `read`; null when all is read, `further` when it may stand above what is
 * loaded.
 */
export function firstUnread(
  messages: readonly ThreadMessage[],
  read: number,
  unread: number,
  me: number,
): number | 'further' | null {
  if (unread === 0) return null
  const at = messages.findIndex((message) => message.id > read && message.sender !== me)
  if (at === 0 && messages[0]?.number !== 1) return 'further'
  return messages[at]?.id ?? null
}

/** Messages with the notes between them, by their places in the log; notes next to each other are one where they can be. */
function inOrder(messages: readonly ThreadMessage[], notes: readonly Note[]): Entry[] {
  const entries: Entry[] = []
  let at = 0
  const notesUpTo = (seq: number) => {
    const from = at
    while (at < notes.length && (notes[at] as Note).seq < seq) at += 1
    for (const note of gathered(notes.slice(from, at)))
      entries.push({ sender: note.actor, at: note.at, day: dayKey(note.at), note })
  }
  for (const message of messages) {
    notesUpTo(message.id)
    entries.push({ sender: message.sender, at: message.at, day: dayKey(message.at), message })
  }
  notesUpTo(Number.POSITIVE_INFINITY)
  return entries
}

export function buildRows(
  messages: readonly ThreadMessage[],
  notes: readonly Note[],
  sends: readonly Send[],
  me: number,
  newFrom: number | null,
): Row[] {
  const entries = inOrder(messages, notes)
  for (const send of sends) {
    const at = new Date(send.createdAt).toISOString()
    entries.push({ sender: me, at, day: dayKey(at), send })
  }
  // Clocks differ: nothing is shown under an earlier day than what stands above it.
  entries.forEach((entry, index) => {
    const before = entries[index - 1]
    if (before && Date.parse(entry.at) < Date.parse(before.at)) entry.day = before.day
  })
  const rows: Row[] = []
  const startsNew = (entry: Entry | undefined) =>
    newFrom !== null && entry?.message !== undefined && entry.message.id === newFrom
  entries.forEach((entry, index) => {
    const before = entries[index - 1]
    const after = entries[index + 1]
    if (entry.day !== before?.day) rows.push({ type: 'day', key: `d${entry.day}`, at: entry.at })
    if (startsNew(entry)) rows.push({ type: 'new', key: 'new' })
    const first = startsNew(entry) || !together(before, entry)
    const last = startsNew(after) || !together(entry, after)
    const { message, note, send } = entry
    if (message) {
      // A message keeps the row of the bubble that it replaced.
      const key = message.sendKey === undefined ? `m${message.id}` : `p${message.sendKey}`
      rows.push({ type: 'message', key, message, first, last })
    } else if (note) rows.push({ type: 'note', key: `n${note.seq}`, note })
    else if (send) rows.push({ type: 'pending', key: `p${send.key}`, send, first, last })
  })
  return rows
}
