import { X } from 'lucide-react'
import { t } from '../lib/i18n'
import { IconButton } from './Button'
import styles from './Toaster.module.css'

interface Props {
  toasts: readonly { id: number; text: string }[]
  onDismiss(id: number): void
}

/** Its place is always there, so that what comes is announced. */
export function Toaster({ toasts, onDismiss }: Props) {
  return (
    <div className={styles.place} role="status">
      {toasts.map((toast) => (
        <p key={toast.id} className={styles.toast}>
          {toast.text}
          <IconButton label={t('Close')} onClick={() => onDismiss(toast.id)}>
            <X size={15} />
          </IconButton>
        </p>
      ))}
    </div>
  )
}
