import { createStore } from 'zustand/vanilla'
import type { Event } from '../api/protocol'

/** Something that happened in a group besides its messages. */
export interface Note {
  seq: number
  at: string
  what: 'created' | 'joined' | 'added' | 'left' | 'removed' | 'renamed'
  /** null: the host itself. */
  actor: number | null
  /** Whom it happened to. */
  users: readonly number[]
  title?: string
}

/** A page of a log, and pages asked for at once: what is further away is asked for when it is looked at. */
const PAGE = 100
const PAGES = 3
/** Groups, and places of each one's log, that are remembered. */
const MOST_GROUPS = 12
const MOST_PLACES = 20_000

export function noteOf(event: Event): Note | null {
  const { seq } = event
  switch (event.kind) {
    case 'created':
      return {
        seq,
        at: event.at,
        what: 'created',
        actor: event.actor,
        users: event.members.flatMap(({ user }) => (user === event.actor ? [] : [user])),
      }
    case 'joined': {
      const { at, actor, user } = event
      return { seq, at, what: user === actor ? 'joined' : 'added', actor, users: [user] }
    }
    case 'left': {
      const { at, actor, user } = event
      return { seq, at, what: user === actor ? 'left' : 'removed', actor, users: [user] }
    }
    case 'configured': {
      const { at, actor, title } = event
      return title === undefined ? null : { seq, at, what: 'renamed', actor, users: [], title }
    }
    default:
      return null
  }
}

/** One line for what was done in one go. */
export function gathered(notes: readonly Note[]): Note[] {
  const lines: Note[] = []
  for (const note of notes) {
    const last = lines.at(-1)
    const same = last && last.what === note.what && last.actor === note.actor && note.users.length > 0
    if (same) lines[lines.length - 1] = { ...last, users: [...last.users, ...note.users] }
    else lines.push(note)
  }
  return lines
}

/** The stretches of `seqs` (ascending) that fit into one page each, the latest first. */
export function pagesOf(seqs: readonly number[]): { after: number; limit: number }[] {
  const pages: { after: number; limit: number }[] = []
  let last: number | undefined
  for (const seq of [...seqs].reverse()) {
    const page = pages.at(-1)
    if (page && last !== undefined && last - seq < PAGE) {
      page.after = seq - 1
      page.limit = last - page.after
    } else {
      last = seq
      pages.push({ after: seq - 1, limit: 1 })
    }
  }
  return pages
}

/** Who came, went and renamed a group. Between its messages' seqs lies what else happened: that is asked for. */
export function createNotes(
  ask: (conversation: number, after: number, limit: number) => Promise<{ events: readonly Event[] }>,
) {
  const state = createStore<{ notes: Readonly<Record<number, readonly Note[]>> }>(() => ({ notes: {} }))
  /** Places of logs that are known or asked for. */
  const known = new Map<number, Set<number>>()
  let generation = 0

  function forget(conversation: number) {
    known.delete(conversation)
    state.setState(({ notes: { [conversation]: _, ...rest } }) => ({ notes: rest }))
  }

  function placesOf(conversation: number): Set<number> {
    let places = known.get(conversation)
    if (places && places.size > MOST_PLACES) {
      forget(conversation)
      places = undefined
    }
    places ??= new Set()
    known.delete(conversation)
    known.set(conversation, places)
    for (const oldest of known.keys()) {
      if (known.size <= MOST_GROUPS) break
      forget(oldest)
    }
    return places
  }

  function put(conversation: number, events: readonly Event[]) {
    const fresh = events.flatMap((event) => noteOf(event) ?? [])
    if (fresh.length === 0) return
    state.setState(({ notes }) => {
      const bySeq = new Map((notes[conversation] ?? []).map((note) => [note.seq, note]))
      for (const note of fresh) bySeq.set(note.seq, note)
      return { notes: { ...notes, [conversation]: [...bySeq.values()].sort((a, b) => a.seq - b.seq) } }
    })
  }

  return {
    state,
    /** What else happened after `from` up to `to`, where `messages` have these ids. */
    need(conversation: number, from: number, to: number, messages: readonly number[]) {
      const places = placesOf(conversation)
      for (const id of messages) places.add(id)
      const missing: number[] = []
      for (let seq = to; seq > from && missing.length < PAGE * PAGES; seq -= 1)
        if (!places.has(seq)) missing.push(seq)
      const mine = generation
      for (const { after, limit } of pagesOf(missing.reverse()).slice(0, PAGES)) {
        const asked = missing.filter((seq) => seq > after && seq <= after + limit)
        for (const seq of asked) places.add(seq)
        ask(conversation, after, limit).then(
          ({ events }) => mine === generation && put(conversation, events),
          () => {
            for (const seq of asked) places.delete(seq)
          },
        )
      }
    },
    /** Live. */
    event(conversation: number, event: Event) {
      const places = known.get(conversation)
      if (!places) return
      places.add(event.seq)
      put(conversation, [event])
    },
    reset() {
      generation += 1
      known.clear()
      state.setState({ notes: {} })
    },
  }
}

export type Notes = ReturnType<typeof createNotes>
