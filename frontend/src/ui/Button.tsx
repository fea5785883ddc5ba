import type { ComponentProps } from 'react'
import styles from './Button.module.css'
import { Spinner } from './Spinner'

interface Props extends ComponentProps<'button'> {
  tone?: 'primary' | 'quiet' | 'danger'
  busy?: boolean
}

export function Button({ tone = 'quiet', busy = false, children, className = '', ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      aria-busy={busy}
      className={`${styles.button} ${styles[tone]} ${className}`}
    >
      {busy && <Spinner />}
      {children}
    </button>
  )
}

/** An icon alone: the label is for those who cannot see it, and the tooltip for those who cannot guess it. */
export function IconButton({ label, className = '', ...rest }: ComponentProps<'button'> & { label: string }) {
  return (
    <button
      type="button"
      {...rest}
      aria-label={label}
      title={label}
      className={`${styles.icon} ${className}`}
    />
  )
}
