import styles from './Avatar.module.css'

const TONES = 8

/** The first letter of a name as a person sees it: emoji and combining marks count as one. */
function initial(name: string): string {
  const first = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
    .segment(name)
    [Symbol.iterator]()
    .next()
  return first.done ? '?' : first.value.segment.toLocaleUpperCase()
}

export function Avatar({ id, name, small = false }: { id: number; name: string; small?: boolean }) {
  return (
    <span
      className={small ? `${styles.avatar} ${styles.small}` : styles.avatar}
      data-tone={id % TONES}
      aria-hidden
    >
      {initial(name)}
    </span>
  )
}
