/**
 * Which of the loaded messages are drawn: a part of them around the reader, moved along as they scroll, so that
 * the page stays as light after a day as it was in the morning. Pure; ids, because places shift.
 */
export interface Span {
  /** The first one drawn; null: as many as fit before the end. */
  from: number | null
  /** The last one drawn; null: to the end, whatever comes. */
  to: number | null
}

export const AT_END: Span = { from: null, to: null }

export const VIEW = 70
export const STEP = 30
export const MOST = 110

interface HasId {
  readonly id: number
}

/** The first place with an id not below: what an id stood for may be gone. */
function placeOf(items: readonly HasId[], id: number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((items[middle] as HasId).id < id) low = middle + 1
    else high = middle
  }
  return low
}

/** The places drawn, the second one excluded. */
export function places(items: readonly HasId[], { from, to }: Span): [number, number] {
  const end = to === null ? items.length : Math.min(items.length, placeOf(items, to + 1))
  const start = from === null ? Math.max(0, end - VIEW) : Math.min(end, placeOf(items, from))
  return [start, end]
}

const idAt = (items: readonly HasId[], place: number): number | null => items[place]?.id ?? null

/** One step towards the past; the same span when there is nothing more. */
export function earlier(items: readonly HasId[], span: Span): Span {
  const [start, end] = places(items, span)
  if (start === 0) return span
  const from = Math.max(0, start - STEP)
  const to = end - from > MOST ? idAt(items, from + MOST - 1) : span.to
  return { from: idAt(items, from), to }
}

/** One step towards the present. */
export function later(items: readonly HasId[], span: Span): Span {
  if (span.to === null) return span
  const [start, end] = places(items, span)
  const to = Math.min(items.length, end + STEP)
  const from = Math.max(start, to - MOST)
  return { from: idAt(items, from), to: to === items.length ? null : idAt(items, to - 1) }
}

/** The reader left the end: what is drawn stays, however much comes below. */
export function pinned(items: readonly HasId[], span: Span): Span {
  if (span.from !== null) return span
  const [start] = places(items, span)
  return { from: idAt(items, start), to: span.to }
}

export function around(items: readonly HasId[], id: number): Span {
  const place = placeOf(items, id)
  const from = Math.max(0, place - (VIEW >> 1))
  const to = place + (VIEW >> 1)
  return { from: idAt(items, from), to: to >= items.length ? null : idAt(items, to) }
}
