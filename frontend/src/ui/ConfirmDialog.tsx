import { useEffect, useId, useRef, useState } from 'react'
import { t } from '../lib/i18n'
import { Button } from './Button'
import styles from './ConfirmDialog.module.css'

interface Props {
  title: string
  text: string
  action: string
  /** What goes wrong is said in the dialog, which then stays. */
  onConfirm(): Promise<void>
  onClose(): void
}

/** Modal while it is rendered: the browser's own <dialog> keeps the focus and answers Escape. */
export function ConfirmDialog({ title, text, action, onConfirm, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string | null>(null)

  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
  }, [])

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
      ref={dialog}
      className={styles.dialog}
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
      // A close that was undone at once, as development's double effects do, is none.
      onClose={() => dialog.current?.open || onClose()}
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
