import { Search, X } from 'lucide-react'
import { type KeyboardEvent, lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react'
import { useLocation } from 'wouter'
import type { Message, User } from '../../api/protocol'
import { arrowFocus } from '../../lib/arrowFocus'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { Button, IconButton } from '../../ui/Button'
import styles from './SearchBox.module.css'
import { useConversationName } from './useConversationName'
import { useMessageSearch } from './useMessageSearch'
import { usePeopleSearch } from './usePeopleSearch'

const Hit = lazy(() => import('./Hit').then((m) => ({ default: m.Hit })))

interface Props {
  /** Search in this conversation only. */
  within: number | null
  onLeave(): void
  /** A message was picked: it is shown. */
  onShow(): void
  children: ReactNode
}

/** The search box; while it has text, what is found takes the place of `children`. */
export function SearchBox({ within, onLeave, onShow, children }: Props) {
  const { conversations } = useServices()
  const [, navigate] = useLocation()
  const [text, setText] = useState('')
  const input = useRef<HTMLInputElement>(null)
  const results = useRef<HTMLDivElement>(null)
  const wanted = text.trim()
  const isWithin = within !== null
  const people = usePeopleSearch(isWithin ? '' : wanted)
  const messages = useMessageSearch(wanted, within)
  const withinName = useConversationName(within ?? 0)

  useEffect(() => {
    if (within === null) return
    setText('')
    input.current?.focus()
  }, [within])

  function pick(user: User) {
    setText('')
    const known = conversations.withPeer(user.id)
    // The name travels with the history entry, so that a reload of a chat not yet begun still knows it.
    navigate(known ? `/c/${known.conversation.id}` : `/u/${user.id}`, {
      state: { fromList: true, username: user.name },
    })
  }

  function show(message: Message) {
    navigate(`/c/${message.conversation}?m=${message.id}`, { state: { fromList: true } })
    onShow()
  }

  function clear() {
    setText('')
    if (isWithin && !text) onLeave()
    input.current?.focus()
  }

  function onInputKey(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape' && (text || isWithin)) {
      event.preventDefault()
      clear()
    } else if (event.key === 'ArrowDown' && results.current) {
      event.preventDefault()
      results.current.querySelector('button')?.focus()
    } else if (event.key === 'Enter' && people.answered === wanted && people.found[0]) {
      event.preventDefault()
      pick(people.found[0])
    }
  }

  function onResultKey(event: KeyboardEvent<HTMLElement>) {
    if (event.key === 'Escape') clear()
    else if (arrowFocus(event.key, event.currentTarget)) event.preventDefault()
    else if (event.key === 'ArrowUp') input.current?.focus()
  }

  const pending = wanted !== '' && ((!isWithin && people.answered !== wanted) || messages.pending)
  const total = people.found.length + messages.found.length
  const error = people.error ?? messages.error
  const nobody = isWithin
    ? t('No message here says that.')
    : messages.offered
      ? t('Nothing is found for “{text}”.', { text: wanted })
      : t('Nobody is called “{name}”.', { name: wanted })
  const summary =
    error ?? (total > 0 ? t('{count} found', { count: total }) : pending ? t('Searching…') : nobody)
  const label = isWithin
    ? t('Search in {name}', { name: withinName })
    : messages.offered
      ? t('Search people and messages')
      : t('Find people')
  const open = wanted !== '' || isWithin
  return (
    <>
      <search className={styles.box}>
        <Search size={17} className={styles.glass ?? ''} aria-hidden />
        <input
          ref={input}
          id="search"
          className={styles.input}
          type="search"
          aria-label={label}
          placeholder={label}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={200}
          dir="auto"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onInputKey}
        />
        {(text || isWithin) && (
          <IconButton label={t('Clear search')} className={styles.clear ?? ''} onClick={clear}>
            <X size={16} />
          </IconButton>
        )}
      </search>
      {!open ? (
        children
      ) : (
        // biome-ignore lint/a11y/noStaticElementInteractions: arrows move among the buttons inside
        <div ref={results} className={styles.scroller} onKeyDown={onResultKey}>
          {wanted !== '' && (
            <p
              role="status"
              className={total > 0 ? 'visually-hidden' : styles.note}
              data-error={error !== null}
            >
              {summary}
            </p>
          )}
          {isWithin && wanted === '' && (
            <p className={styles.note}>{t('Words of a message in this conversation.')}</p>
          )}
          {people.found.length > 0 && messages.offered && <h2 className={styles.heading}>{t('People')}</h2>}
          {people.found.length > 0 && (
            <ul aria-label={t('People')} data-pending={pending}>
              {people.found.map((user) => (
                <li key={user.id}>
                  <button type="button" className={styles.person} onClick={() => pick(user)}>
                    <Avatar id={user.id} name={user.name} small />
                    <span className={`${styles.name} one-line`} dir="auto">
                      {user.name}
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          )}
          {messages.found.length > 0 && (
            <Suspense>
              <h2 className={styles.heading}>{t('Messages')}</h2>
              <ul aria-label={t('Messages found')}>
                {messages.found.map((message) => (
                  <Hit
                    key={`${message.conversation}.${message.id}`}
                    message={message}
                    text={messages.answered ?? ''}
                    named={!isWithin}
                    onPick={show}
                  />
                ))}
              </ul>
            </Suspense>
          )}
          {messages.next !== null && (
            <p className={styles.more}>
              <Button busy={messages.loading} onClick={messages.more}>
                {t('More')}
              </Button>
            </p>
          )}
        </div>
      )}
    </>
  )
}
