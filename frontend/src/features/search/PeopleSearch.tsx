import { Search, X } from 'lucide-react'
import { type KeyboardEvent, type ReactNode, useRef, useState } from 'react'
import { useLocation } from 'wouter'
import type { User } from '../../api/types'
import { arrowFocus } from '../../lib/arrowFocus'
import { useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { IconButton } from '../../ui/Button'
import styles from './PeopleSearch.module.css'
import { usePeopleSearch } from './usePeopleSearch'

/** The search box; while it has text its results take the place of `children`. */
export function PeopleSearch({ children }: { children: ReactNode }) {
  const { conversations } = useServices()
  const [, navigate] = useLocation()
  const [text, setText] = useState('')
  const input = useRef<HTMLInputElement>(null)
  const results = useRef<HTMLUListElement>(null)
  const wanted = text.trim()
  const { answered, found, error } = usePeopleSearch(wanted)

  function pick(user: User) {
    setText('')
    const known = conversations.withPeer(user.id)
    // The name travels with the history entry, so that a reload of a chat not yet begun still knows it.
    navigate(known ? `/c/${known.id}` : `/u/${user.id}`, {
      state: { fromList: true, username: user.username },
    })
  }

  function clear() {
    setText('')
    input.current?.focus()
  }

  function onInputKey(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape' && text) {
      event.preventDefault()
      setText('')
    } else if (event.key === 'ArrowDown' && found.length > 0) {
      event.preventDefault()
      results.current?.querySelector('button')?.focus()
    } else if (event.key === 'Enter' && answered === wanted && found[0]) {
      event.preventDefault()
      pick(found[0])
    }
  }

  function onResultKey(event: KeyboardEvent<HTMLElement>) {
    if (event.key === 'Escape') clear()
    else if (arrowFocus(event.key, event.currentTarget)) event.preventDefault()
    else if (event.key === 'ArrowUp') input.current?.focus()
  }

  const pending = wanted !== '' && answered !== wanted
  const summary =
    error ??
    (found.length > 0 ? `${found.length} found` : pending ? 'Searching…' : `Nobody is called “${wanted}”.`)
  return (
    <>
      <search className={styles.box}>
        <Search size={17} className={styles.glass ?? ''} aria-hidden />
        <input
          ref={input}
          className={styles.input}
          type="search"
          aria-label="Find people"
          placeholder="Find people"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={64}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onInputKey}
        />
        {text && (
          <IconButton label="Clear search" className={styles.clear ?? ''} onClick={clear}>
            <X size={16} />
          </IconButton>
        )}
      </search>
      {wanted === '' ? (
        children
      ) : (
        <div className={styles.scroller}>
          <p
            role="status"
            className={found.length > 0 ? 'visually-hidden' : styles.note}
            data-error={error !== null}
          >
            {summary}
          </p>
          <ul ref={results} aria-label="People" data-pending={pending} onKeyDown={onResultKey}>
            {found.map((user) => (
              <li key={user.id}>
                <button type="button" className={styles.person} onClick={() => pick(user)}>
                  <Avatar id={user.id} name={user.username} small />
                  <span className={`${styles.name} one-line`} dir="auto">
                    {user.username}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  )
}
