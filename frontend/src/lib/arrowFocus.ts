/** Moves the focus among the links and buttons inside `list`; true when the key was one for that. */
export function arrowFocus(key: string, list: HTMLElement): boolean {
  const stops = [...list.querySelectorAll<HTMLElement>('a, button')]
  const at = stops.indexOf(document.activeElement as HTMLElement)
  const to =
    key === 'ArrowDown'
      ? at + 1
      : key === 'ArrowUp'
        ? at - 1
        : key === 'Home'
          ? 0
          : key === 'End'
            ? stops.length - 1
            : -2
  if (to === -2) return false
  stops[to]?.focus()
  return to >= 0 && to < stops.length
}
