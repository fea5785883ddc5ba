import { Pin } from 'lucide-react'
import { useState } from 'react'
import { t } from '../../lib/i18n'
import { plain } from '../../lib/markdown'
import styles from './PinnedBar.module.css'
import { useQuoted } from './Quote'

interface Props {
  conversation: number
  pins: readonly number[]
  onShow(id: number): void
}

/** The newest pin; each press shows one and turns to the one before. */
export function PinnedBar({ conversation, pins, onShow }: Props) {
  const [turn, setTurn] = useState(0)
  const place = pins.length - 1 - (turn % pins.length)
  const id = pins[place] as number
  const message = useQuoted(conversation, id)
  return (
    <button
      type="button"
      className={styles.bar}
      onClick={() => {
        onShow(id)
        setTurn(turn + 1)
      }}
    >
      <Pin size={16} className={styles.icon ?? ''} aria-hidden />
      <span className={styles.label}>
        {t('Pinned')}
        {pins.length > 1 && <span className={styles.place}>{` ${place + 1}/${pins.length}`}</span>}
      </span>
      <span className={`${styles.text} one-line`} dir="auto">
        {message ? plain((message.text ?? '').slice(0, 200)) : ''}
      </span>
    </button>
  )
}
