import { type ComponentProps, type ReactNode, useId } from 'react'
import styles from './Field.module.css'

interface Props extends ComponentProps<'input'> {
  label: string
  error: string | null
  /** Inside the frame, after the text. */
  end?: ReactNode
}

export function Field({ label, error, end, ...rest }: Props) {
  const id = useId()
  return (
    <div className={styles.field}>
      <label className={styles.label} htmlFor={id}>
        {label}
      </label>
      <div className={styles.frame} data-invalid={error !== null}>
        <input
          {...rest}
          id={id}
          className={styles.input}
          aria-invalid={error !== null}
          aria-describedby={error === null ? undefined : `${id}-error`}
        />
        {end}
      </div>
      {error !== null && (
        <p className={styles.error} id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  )
}
