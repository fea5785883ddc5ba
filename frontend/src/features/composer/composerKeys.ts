export interface KeyPress {
  key: string
  shiftKey: boolean
  ctrlKey: boolean
  metaKey: boolean
  altKey: boolean
  isComposing: boolean
  keyCode: number
}

/**
 * What a key does in the composer. Enter that confirms an input method's candidate never sends: Safari
 * reports that one after the composition, with the old key code 229. Where there is no real keyboard, Enter
 * is the only way to a new line, and the button sends.
 */
export function composerAction(press: KeyPress, touch: boolean): 'send' | null {
  if (press.key !== 'Enter' || press.isComposing || press.keyCode === 229) return null
  if (press.shiftKey || press.altKey) return null
  if (touch && !press.ctrlKey && !press.metaKey) return null
  return 'send'
}
