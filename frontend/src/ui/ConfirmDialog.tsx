import { useId, useState } from 'react'
import { t } from '../lib/i18n'
import { Button } from './Button'
import styles from './ConfirmDialog.module.css'
import { useModal } from './useModal'

interface Props {
  title: string
  text: string
  action: string
  /** What goes wrong is said in the dialog, which then stays. */
  onConfirm(): Promise<void>
  onClose(): void
}

/** Asks before something is done, modal while it is rendered. */
export function ConfirmDialog({ title, text, action, onConfirm, onClose }: Props) {
  const modal = useModal(onClose)
  const id = useId()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string | null>(null)

  async function confirm() {
    if (busy) return
    setBusy(true)
    setError(null)
    try {
      await onConfirm()
    } catch (cause) {
      setBusy(false)
      setError(cause instanceof Error ? cause.message : String(cause))
    }
  }

  return (
    <dialog
      {...modal}
      className={styles.dialog}
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
    >
      <h2 id={`${id}-title`} className={styles.title} dir="auto">
        {title}
      </h2>
      <p id={`${id}-text`} className={styles.text}>
        {text}
      </p>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      <div className={styles.actions}>
        <Button onClick={onClose}>{t('Cancel')}</Button>
        <Button tone="danger" busy={busy} onClick={confirm}>
          {action}
        </Button>
      </div>
    </dialog>
  )
}
