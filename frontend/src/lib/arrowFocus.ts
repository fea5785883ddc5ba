/** Moves the focus among the links and buttons inside `list`; true when the key was one for that. */
export function arrowFocus(key: string, list: HTMLElement): boolean {
  const stops = [...list.querySelectorAll<HTMLElement>('a, button:not(:disabled)')]
  const at = stops.indexOf(document.activeElement as HTMLElement)
  const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: stops.length - 1 }
  const to = moves[key]
  if (to === undefined) return false
  stops[to]?.focus()
  return to >= 0 && to < stops.length
}
