export interface Mention {
  from: number
  part: string
}

/** What is being written right before the caret, if it is the beginning of a name after an @. */
export function mentionAt(text: string, caret: number): Mention | null {
  const before = text.slice(0, caret)
  const match = /(?:^|[\s(])@([^\s@]{0,40})$/u.exec(before)
  if (!match) return null
  const part = match[1] ?? ''
  return { from: caret - part.length - 1, part }
}

export interface Named {
  id: number
  name: string
}

/** Those whose names stand in a text with an @ before them; of names that begin alike the longest is meant. */
export function mentionsIn(text: string, people: readonly Named[]): number[] {
  const byLength = [...people].sort((a, b) => b.name.length - a.name.length)
  const found = new Set<number>()
  for (const { index } of text.matchAll(/@/g)) {
    const rest = text.slice(index + 1)
    const meant = byLength.find(
      ({ name }) => name && rest.startsWith(name) && !/^[\p{L}\p{N}_]/u.test(rest.slice(name.length)),
    )
    if (meant) found.add(meant.id)
  }
  return [...found]
}

/** Names that begin like that, then names that hold it. */
export function suggestions(people: readonly Named[], part: string, most = 6): Named[] {
  const wanted = part.toLocaleLowerCase()
  const place = ({ name }: Named) => name.toLocaleLowerCase().indexOf(wanted)
  return people
    .filter((person) => place(person) >= 0)
    .sort((a, b) => Number(place(a) > 0) - Number(place(b) > 0) || a.name.localeCompare(b.name))
    .slice(0, most)
}
