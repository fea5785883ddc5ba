/** A piece of a text, and whether it was searched for. */
export interface Piece {
  text: string
  hit: boolean
}

const WORD = /[\p{L}\p{N}]+/gu

/** The words of a search, as the server takes them: nothing but letters and digits counts. */
export const wordsOf = (query: string): string[] => folded(query).letters.match(WORD) ?? []

/** Without case and accents, and where in the text each letter of that came from. */
function folded(text: string): { letters: string; places: number[] } {
  let letters = ''
  const places: number[] = []
  let at = 0
  for (const one of text) {
    const plain = one
      .normalize('NFKD')
      .replace(/\p{M}+/gu, '')
      .toLowerCase()
    for (let count = 0; count < plain.length; count += 1) places.push(at)
    letters += plain
    at += one.length
  }
  places.push(at)
  return { letters, places }
}

const startsWord = (letters: string, at: number) => !/[\p{L}\p{N}]$/u.test(letters.slice(0, at).slice(-2))

/** Where the words of a search stand in a text, at beginnings of words and, where there are none, anywhere. */
function spans(text: string, words: readonly string[]): [number, number][] {
  const { letters, places } = folded(text)
  const found: [number, number][] = []
  for (const word of words) {
    const all: number[] = []
    for (let at = letters.indexOf(word); at >= 0; at = letters.indexOf(word, at + word.length)) all.push(at)
    const whole = all.filter((at) => startsWord(letters, at))
    for (const at of whole.length > 0 ? whole : all) {
      const from = places[at] as number
      // Accents that stand apart from their letter belong to it.
      let to = places[at + word.length] as number
      while (/^\p{M}/u.test(text.slice(to, to + 2))) to += 1
      found.push([from, to])
    }
  }
  return found.sort((a, b) => a[0] - b[0] || b[1] - a[1])
}

/** The part of a text around what was searched for, with that marked; text only, for text nodes. */
export function snippet(text: string, query: string, length = 160): Piece[] {
  const words = wordsOf(query)
  const [first] = spans(text, words)
  const lead = 40
  let from = first === undefined || first[0] <= lead ? 0 : first[0] - lead
  // Not in the middle of a word, where one begins soon.
  const space = from > 0 ? text.slice(from, from + 20).search(/\s/) : -1
  if (space >= 0) from += space + 1
  const part = [...text.slice(from, from + length * 2)].slice(0, length).join('')
  const pieces: Piece[] = from > 0 ? [{ text: '…', hit: false }] : []
  let done = 0
  for (const [start, end] of spans(part, words)) {
    if (end <= done) continue
    const begin = Math.max(start, done)
    if (begin > done) pieces.push({ text: part.slice(done, begin), hit: false })
    pieces.push({ text: part.slice(begin, end), hit: true })
    done = end
  }
  if (done < part.length) pieces.push({ text: part.slice(done), hit: false })
  if (from + part.length < text.length) pieces.push({ text: '…', hit: false })
  return pieces
}
