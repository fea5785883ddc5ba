import { X } from 'lucide-react'
import { type ReactNode, useId } from 'react'
import { t } from '../lib/i18n'
import { IconButton } from './Button'
import styles from './Dialog.module.css'
import { useModal } from './useModal'

interface Props {
  title: string
  onClose(): void
  children: ReactNode
  /** Near the top, without a visible title: for what begins with a field. */
  bare?: boolean
}

/** A window over everything else, modal while it is rendered. */
export function Dialog({ title, onClose, children, bare = false }: Props) {
  const modal = useModal(onClose)
  const id = useId()

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it too
    <dialog
      {...modal}
      className={styles.dialog}
      data-top={bare}
      aria-labelledby={id}
      onClick={(event) => event.target === event.currentTarget && onClose()}
    >
      {bare ? (
        <h2 id={id} className="visually-hidden">
          {title}
        </h2>
      ) : (
        <header className={styles.head}>
          <h2 id={id} className={styles.title} dir="auto">
            {title}
          </h2>
          <IconButton label={t('Close')} onClick={onClose}>
            <X size={18} />
          </IconButton>
        </header>
      )}
      {bare ? (
        children
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        <section className={styles.body} tabIndex={0} aria-label={title}>
          {children}
        </section>
      )}
    </dialog>
  )
}
