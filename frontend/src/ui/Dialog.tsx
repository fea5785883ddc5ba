import { X } from 'lucide-react'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { t } from '../lib/i18n'
import { IconButton } from './Button'
import styles from './Dialog.module.css'

interface Props {
  title: string
  onClose(): void
  children: ReactNode
  /** Near the top, without a visible title: for what begins with a field. */
  bare?: boolean
}

/** Modal while it is rendered: the browser's own <dialog> keeps the focus and answers Escape. */
export function Dialog({ title, onClose, children, bare = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()

  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
  }, [])

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it too
    <dialog
      ref={dialog}
      className={styles.dialog}
      data-top={bare}
      aria-labelledby={id}
      // A close that was undone at once, as development's double effects do, is none.
      onClose={() => dialog.current?.open || onClose()}
      onClick={(event) => event.target === dialog.current && onClose()}
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
