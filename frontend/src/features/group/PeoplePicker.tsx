import { X } from 'lucide-react'
import { type KeyboardEvent, useRef, useState } from 'react'
import type { User } from '../../api/protocol'
import { arrowFocus } from '../../lib/arrowFocus'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { usePeopleSearch } from '../search/usePeopleSearch'
import styles from './Group.module.css'

interface Props {
  picked: readonly User[]
  onChange(picked: readonly User[]): void
  /** Who is there already. */
  without: ReadonlySet<number>
}

/** People by name; without a name those one writes with. */
export function PeoplePicker({ picked, onChange, without }: Props) {
  const { conversations } = useServices()
  const [text, setText] = useState('')
  const input = useRef<HTMLInputElement>(null)
  const list = useRef<HTMLUListElement>(null)
  const { found, answered, error } = usePeopleSearch(text.trim())
  const peers = conversations.list().flatMap((entry) => (entry.peer ? [entry.peer] : []))
  const ids = new Set(picked.map((user) => user.id))
  const shown = (text.trim() ? found : peers).filter((user) => !without.has(user.id) && !ids.has(user.id))

  function add(user: User) {
    onChange([...picked, user])
    setText('')
    input.current?.focus()
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Backspace' && text === '' && picked.length > 0) onChange(picked.slice(0, -1))
    else if (event.key === 'ArrowDown') {
      event.preventDefault()
      list.current?.querySelector('button')?.focus()
    } else if (event.key === 'Enter') {
      event.preventDefault()
      if (answered === text.trim() && shown[0]) add(shown[0])
    }
  }

  return (
    <div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions lint/a11y/useKeyWithClickEvents: a larger place to begin typing */}
      <div className={styles.chips} onClick={() => input.current?.focus()}>
        {picked.map((user) => (
          <button
            key={user.id}
            type="button"
            className={styles.chip}
            aria-label={t('Take {name} off', { name: user.name })}
            onClick={() => onChange(picked.filter((other) => other.id !== user.id))}
          >
            <bdi>{user.name}</bdi>
            <X size={13} aria-hidden />
          </button>
        ))}
        <input
          ref={input}
          className={styles.name}
          aria-label={t('Find people')}
          placeholder={t('Find people')}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={64}
          dir="auto"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
        />
      </div>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      <ul
        ref={list}
        className={styles.people}
        aria-label={t('People')}
        onKeyDown={(event) => {
          if (arrowFocus(event.key, event.currentTarget)) event.preventDefault()
          else if (event.key === 'ArrowUp') input.current?.focus()
        }}
      >
        {shown.slice(0, 30).map((user) => (
          <li key={user.id}>
            <button type="button" className={styles.person} onClick={() => add(user)}>
              <Avatar id={user.id} name={user.name} small />
              <span className="one-line" dir="auto">
                {user.name}
              </span>
            </button>
          </li>
        ))}
        {shown.length === 0 && text.trim() !== '' && answered === text.trim() && (
          <li className={styles.none}>{t('Nobody is called “{name}”.', { name: text.trim() })}</li>
        )}
      </ul>
    </div>
  )
}
