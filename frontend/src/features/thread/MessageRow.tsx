import { Check, CircleAlert, Clock3 } from 'lucide-react'
import { memo, type ReactNode, useEffect } from 'react'
import { useStore } from 'zustand'
import { fullTime, timeOfDay } from '../../lib/time'
import { useServices } from '../../stores/context'
import type { PendingSend } from '../../stores/outbox'
import type { ThreadMessage } from '../../stores/thread'
import { Avatar } from '../../ui/Avatar'
import styles from './MessageRow.module.css'

interface Place {
  first: boolean
  last: boolean
}

interface MessageProps extends Place {
  message: ThreadMessage
  own: boolean
  inGroup: boolean
}

export const MessageRow = memo(function MessageRow({ message, own, first, last, inGroup }: MessageProps) {
  const { people } = useServices()
  const id = message.sender_id
  const known = useStore(people.state, ({ names }) => names[id])
  useEffect(() => {
    if (known === undefined) people.ask(id)
  }, [known, people, id])
  const name = own ? 'You' : (known ?? 'Unknown person')
  const named = inGroup && !own

  return (
    <li className={styles.row} data-own={own} data-first={first} data-named={named}>
      {named && last && (
        <span className={styles.avatar}>
          <Avatar id={id} name={name} small />
        </span>
      )}
      <div className={styles.bubble} data-last={last}>
        {first && (
          <span className={named ? styles.sender : 'visually-hidden'} dir="auto">
            {name}
          </span>
        )}
        <Body
          content={message.deleted ? null : message.content}
          timestamp={message.timestamp}
          note={message.edited_at && !message.deleted ? 'edited' : null}
          status={own ? <Check size={14} role="img" aria-label="Sent" /> : null}
        />
      </div>
    </li>
  )
})

export const PendingRow = memo(function PendingRow({ send, first, last }: Place & { send: PendingSend }) {
  const { chat } = useServices()
  const trouble =
    send.status === 'failed'
      ? (send.detail ?? 'Not sent.')
      : send.status === 'unconfirmed'
        ? 'Not confirmed: the connection broke while this was on its way.'
        : null
  return (
    <li className={styles.row} data-own data-first={first}>
      <div className={styles.bubble} data-last={last} data-trouble={trouble !== null}>
        {first && <span className="visually-hidden">You</span>}
        <Body
          content={send.content}
          timestamp={new Date(send.createdAt).toISOString()}
          note={null}
          status={
            trouble === null ? (
              <Clock3 size={13} role="img" aria-label="Sending" />
            ) : (
              <CircleAlert
                size={14}
                role="img"
                aria-label={send.status === 'failed' ? 'Failed' : 'Not confirmed'}
              />
            )
          }
        />
      </div>
      {trouble !== null && (
        <p className={styles.trouble} role="alert">
          <span>{trouble}</span>
          <button type="button" onClick={() => chat.retry(send.id)}>
            Retry
          </button>
          <button type="button" onClick={() => chat.discard(send.id)}>
            Discard
          </button>
        </p>
      )}
    </li>
  )
})

interface BodyProps {
  /** null: deleted. */
  content: string | null
  timestamp: string
  note: string | null
  status: ReactNode
}

/** The text, and the time that tucks itself into the end of its last line. */
function Body({ content, timestamp, note, status }: BodyProps) {
  return (
    <div className={styles.body} dir="auto" data-anchor>
      <span className={content === null ? styles.deleted : styles.text}>{content ?? 'Message deleted'}</span>
      <span className={styles.meta}>
        {note}
        <time dir="ltr" dateTime={timestamp} title={fullTime(timestamp)}>
          {timeOfDay(timestamp)}
        </time>
        {status}
      </span>
    </div>
  )
}
