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

interface Props {
  id: number
  name: string
  small?: boolean
  /** Groups are square, people are round. */
  group?: boolean
  online?: boolean
}

export function Avatar({ id, name, small = false, group = false, online = false }: Props) {
  return (
    <span className={styles.place} aria-hidden>
      <span
        className={small ? `${styles.avatar} ${styles.small}` : styles.avatar}
        data-tone={id % TONES}
        data-group={group}
      >
        {initial(name)}
      </span>
      {online && <span className={styles.online} />}
    </span>
  )
}
