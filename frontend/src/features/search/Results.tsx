import { type Ref, useImperativeHandle, useRef } from 'react'
import { useLocation } from 'wouter'
import type { Message, User } from '../../api/protocol'
import { arrowFocus } from '../../lib/arrowFocus'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { Button } from '../../ui/Button'
import { Hit } from './Hit'
import styles from './SearchBox.module.css'
import { useMessageSearch } from './useMessageSearch'
import { usePeopleSearch } from './usePeopleSearch'

/** What the field above asks of the results. */
export interface Results {
  /** The keyboard goes into them. */
  focus(): void
  /** Takes the first person, if the answer is to what the field says now. */
  take(): void
}

interface Props {
  ref: Ref<Results>
  wanted: string
  within: number | null
  /** A person was picked: the search is over. */
  onDone(): void
  /** A message was picked: it is shown. */
  onShow(): void
  onEscape(): void
  /** The keyboard left at the top. */
  onLeaveUp(): void
}

/** People and messages found. */
export function Results({ ref, wanted, within, onDone, onShow, onEscape, onLeaveUp }: Props) {
  const { conversations } = useServices()
  const [, navigate] = useLocation()
  const box = useRef<HTMLDivElement>(null)
  const isWithin = within !== null
  const people = usePeopleSearch(isWithin ? '' : wanted)
  const messages = useMessageSearch(wanted, within)

  function pick(user: User) {
    onDone()
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

  useImperativeHandle(ref, () => ({
    focus: () => box.current?.querySelector('button')?.focus(),
    take: () => people.answered === wanted && people.found[0] && pick(people.found[0]),
  }))

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
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrows move among the buttons inside
    <div
      ref={box}
      className={styles.scroller}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onEscape()
        else if (arrowFocus(event.key, event.currentTarget)) event.preventDefault()
        else if (event.key === 'ArrowUp') onLeaveUp()
      }}
    >
      {wanted !== '' && (
        <p role="status" className={total > 0 ? 'visually-hidden' : styles.note} data-error={error !== null}>
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
  )
}
