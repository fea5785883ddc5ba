import type { KeyboardEvent } from 'react'
import { t } from '../../lib/i18n'
import styles from './EmojiPicker.module.css'
import { GROUPS } from './emoji'

const COLUMNS = 8

/** A grid to pick from, by pointer or arrows. */
export function EmojiPicker({ onPick }: { onPick(emoji: string): void }) {
  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    const buttons = [...event.currentTarget.querySelectorAll('button')]
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    const rtl = getComputedStyle(event.currentTarget).direction === 'rtl' ? -1 : 1
    const moves: Record<string, number> = {
      ArrowRight: rtl,
      ArrowLeft: -rtl,
      ArrowDown: COLUMNS,
      ArrowUp: -COLUMNS,
    }
    const by = moves[event.key]
    if (by === undefined) return
    event.preventDefault()
    event.stopPropagation()
    buttons[Math.max(0, Math.min(buttons.length - 1, at + by))]?.focus()
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrows move among the buttons inside
    <div className={styles.picker} onKeyDown={onKeyDown}>
      {GROUPS.map(({ name, emoji }) => (
        <section key={name} aria-label={t(name)}>
          <h3 className={styles.name}>{t(name)}</h3>
          <div className={styles.grid}>
            {emoji.map((one) => (
              <button key={one} type="button" aria-label={one} onClick={() => onPick(one)}>
                {one}
              </button>
            ))}
          </div>
        </section>
      ))}
    </div>
  )
}

export default EmojiPicker
