import { Search, X } from 'lucide-react'
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { useLocation } from 'wouter'
import { useStore } from 'zustand'
import type { Message, User } from '../../api/protocol'
import { arrowFocus } from '../../lib/arrowFocus'
import { snippet } from '../../lib/highlight'
import { t } from '../../lib/i18n'
import { plain } from '../../lib/markdown'
import { listTime } from '../../lib/time'
import { useMe, useServices } from '../../stores/context'
import { entryName } from '../../stores/describe'
import { Avatar } from '../../ui/Avatar'
import { Button, IconButton } from '../../ui/Button'
import styles from './SearchBox.module.css'
import { useMessageSearch } from './useMessageSearch'
import { usePeopleSearch } from './usePeopleSearch'

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
            <>
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
            </>
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

function useConversationName(id: number): string {
  const { conversations, people } = useServices()
  const entry = useStore(conversations.state, ({ list }) =>
    list.find(({ conversation }) => conversation.id === id),
  )
  return useStore(people.state, ({ names }) => (entry ? entryName(entry, names) : t('Conversation')))
}

interface HitProps {
  message: Message
  /** What was searched for. */
  text: string
  /** With the conversation that it is in. */
  named: boolean
  onPick(message: Message): void
}

function Hit({ message, text, named, onPick }: HitProps) {
  const { people, chat, conversations } = useServices()
  const me = useMe()
  const sender = message.sender ?? 0
  const known = useStore(people.state, ({ names }) => names[sender])
  useEffect(() => {
    if (known === undefined && sender) people.ask(sender)
  }, [known, sender, people])
  // An old conversation may lie beyond what the list has loaded.
  useEffect(() => {
    if (named && !conversations.get(message.conversation)) void chat.inbox.fetch(message.conversation)
  }, [named, message.conversation, conversations, chat])
  const where = useConversationName(message.conversation)
  const name = sender === me.id ? t('You') : (known ?? t('Unknown person'))
  const pieces = snippet(plain(message.text ?? ''), text)
  return (
    <li>
      <button type="button" className={styles.hit} onClick={() => onPick(message)}>
        <span className={styles.line}>
          <span className={`${styles.name} one-line`} dir="auto">
            {named ? where : name}
          </span>
          <time className={styles.time} dateTime={message.at}>
            {listTime(message.at)}
          </time>
        </span>
        <span className={styles.snippet} dir="auto">
          {named && name !== where && `${name}: `}
          {pieces.map((piece, place) =>
            // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a text have no other name
            piece.hit ? <mark key={place}>{piece.text}</mark> : piece.text,
          )}
        </span>
      </button>
    </li>
  )
}
