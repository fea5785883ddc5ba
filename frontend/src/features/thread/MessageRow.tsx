import { Check, CheckCheck, CircleAlert, Clock3, Ellipsis, Reply, SmilePlus } from 'lucide-react'
import { memo, type PointerEvent, type ReactNode, useEffect, useRef } from 'react'
import { useStore } from 'zustand'
import { t } from '../../lib/i18n'
import { fullTime, timeOfDay } from '../../lib/time'
import type { Send } from '../../storage/local'
import { useMe, useServices } from '../../stores/context'
import type { ThreadMessage } from '../../stores/ranges'
import { Avatar } from '../../ui/Avatar'
import { type Origin, originOf } from '../../ui/Menu'
import { Markup } from './Markup'
import styles from './MessageRow.module.css'
import { Quote, useName } from './Quote'

export type Reached = 'sent' | 'delivered' | 'read'

/** What a row can ask for; one object for the whole log, so that rows are drawn only when they change. */
export interface RowCalls {
  menu(message: ThreadMessage, origin: Origin): void
  emoji(message: ThreadMessage, origin: Origin): void
  reply(message: ThreadMessage): void
  react(message: ThreadMessage, emoji: string): void
  jump(id: number): void
}

interface Place {
  first: boolean
  last: boolean
}

interface MessageProps extends Place {
  message: ThreadMessage
  own: boolean
  inGroup: boolean
  /** Of one's own: how far it got. */
  reached: Reached | null
  pinned: boolean
  flash: boolean
  /** The pointer is over it. */
  active: boolean
  calls: RowCalls
}

const HOLD_MS = 450
const NO_NAMES: readonly string[] = []

export const MessageRow = memo(function MessageRow(props: MessageProps) {
  const { message, own, first, last, inGroup, calls } = props
  const name = useName(message.sender)
  const mentioned = useMentionedNames(message.mentions)
  const me = useMe()
  const named = inGroup && !own
  const held = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)

  /** A long press does what the right button does, on phones that do not tell of one. */
  const hold = {
    onPointerDown(event: PointerEvent<HTMLElement>) {
      if (event.pointerType !== 'touch') return
      const { clientX, clientY } = event
      held.current = setTimeout(
        () => calls.menu(message, { x: clientX, y: clientY, height: 0, fromEnd: false, held: true }),
        HOLD_MS,
      )
    },
    onPointerUp: () => clearTimeout(held.current),
    onPointerMove: () => clearTimeout(held.current),
    onPointerCancel: () => clearTimeout(held.current),
  }

  return (
    <li
      className={styles.row}
      data-own={own}
      data-first={first}
      data-named={named}
      data-id={message.id}
      data-flash={props.flash}
      tabIndex={-1}
      onContextMenu={(event) => {
        // Links and selected words keep the browser's own menu.
        if ((event.target as Element).closest('a') || getSelection()?.toString()) return
        event.preventDefault()
        clearTimeout(held.current)
        calls.menu(message, { x: event.clientX, y: event.clientY, height: 0, fromEnd: false })
      }}
    >
      {named && last && (
        <span className={styles.avatar}>
          <Avatar id={message.sender ?? 0} name={name} small />
        </span>
      )}
      <div className={styles.middle}>
        <div
          className={styles.bubble}
          data-last={last}
          data-mention={message.mentions.includes(me.id) && !message.deleted}
          {...hold}
        >
          {first && (
            <span className={named ? styles.sender : 'visually-hidden'} dir="auto">
              {name}
            </span>
          )}
          {message.reply_to !== undefined && !message.deleted && (
            <Quote conversation={message.conversation} id={message.reply_to} onPick={calls.jump} />
          )}
          <Body
            text={message.deleted ? null : (message.text ?? '')}
            mentioned={mentioned}
            at={message.at}
            notes={[
              props.pinned && !message.deleted && t('pinned'),
              message.edited_at !== undefined && !message.deleted && t('edited'),
            ]}
            status={own && !message.deleted ? <Reach reached={props.reached ?? 'sent'} /> : null}
          />
        </div>
        {props.active && !message.deleted && <Tools message={message} calls={calls} />}
      </div>
      {message.reactions.length > 0 && (
        <ul className={styles.reactions} aria-label={t('Reactions')}>
          {message.reactions.map(({ emoji, count }) => {
            const mine = message.mine?.includes(emoji) === true
            return (
              <li key={emoji}>
                <button
                  type="button"
                  className={styles.reaction}
                  aria-pressed={mine}
                  aria-label={t('{emoji}, {count}', { emoji, count })}
                  onClick={() => calls.react(message, emoji)}
                >
                  <span aria-hidden>{emoji}</span>
                  <span aria-hidden>{count}</span>
                </button>
              </li>
            )
          })}
        </ul>
      )}
    </li>
  )
})

/** In the place of one that cannot be drawn. */
export function BrokenRow({ id, own, first }: { id: number; own: boolean; first: boolean }) {
  return (
    <li className={styles.row} data-own={own} data-first={first} data-id={id} tabIndex={-1}>
      <div className={`${styles.bubble} ${styles.lone}`} data-anchor>
        <span className={styles.deleted}>{t('This message cannot be shown.')}</span>
      </div>
    </li>
  )
}

/** Shown where the pointer is; by keyboard and touch the menu has the same. */
function Tools({ message, calls }: { message: ThreadMessage; calls: RowCalls }) {
  return (
    <div className={styles.tools}>
      <button
        type="button"
        tabIndex={-1}
        aria-label={t('React')}
        title={t('React')}
        onClick={(event) => calls.emoji(message, originOf(event.currentTarget))}
      >
        <SmilePlus size={16} aria-hidden />
      </button>
      <button
        type="button"
        tabIndex={-1}
        aria-label={t('Reply')}
        title={t('Reply')}
        onClick={() => calls.reply(message)}
      >
        <Reply size={16} className="mirrored" aria-hidden />
      </button>
      <button
        type="button"
        tabIndex={-1}
        aria-label={t('More actions')}
        title={t('More actions')}
        onClick={(event) => calls.menu(message, originOf(event.currentTarget))}
      >
        <Ellipsis size={16} aria-hidden />
      </button>
    </div>
  )
}

function useMentionedNames(ids: readonly number[]): readonly string[] {
  const { people } = useServices()
  useEffect(() => {
    for (const id of ids) people.ask(id)
  }, [ids, people])
  const joined = useStore(people.state, ({ names }) =>
    ids.length === 0 ? '' : ids.map((id) => names[id] ?? '').join('\n'),
  )
  // The longest first: of two names that begin alike, the whole one is meant.
  return joined === ''
    ? NO_NAMES
    : joined
        .split('\n')
        .filter(Boolean)
        .sort((a, b) => b.length - a.length)
}

function Reach({ reached }: { reached: Reached }) {
  if (reached === 'sent') return <Check size={14} role="img" aria-label={t('Sent')} />
  const label = reached === 'read' ? t('Read') : t('Delivered')
  return <CheckCheck size={14} className={styles[reached] ?? ''} role="img" aria-label={label} />
}

export const PendingRow = memo(function PendingRow({ send, first, last }: Place & { send: Send }) {
  const { outbox } = useServices()
  const conversation = 'conversation' in send.to ? send.to.conversation : null
  const { failed } = send
  return (
    <li className={styles.row} data-own data-first={first} tabIndex={-1}>
      <div className={`${styles.bubble} ${styles.lone}`} data-last={last} data-trouble={failed !== null}>
        {first && <span className="visually-hidden">{t('You')}</span>}
        {send.replyTo !== null && <Quote conversation={conversation} id={send.replyTo} />}
        <Body
          text={send.text}
          mentioned={NO_NAMES}
          at={new Date(send.createdAt).toISOString()}
          notes={[]}
          status={
            failed === null ? (
              <Clock3 size={13} role="img" aria-label={t('Sending')} />
            ) : (
              <CircleAlert size={14} role="img" aria-label={t('Failed')} />
            )
          }
        />
      </div>
      {failed !== null && (
        <p className={styles.trouble} role="alert">
          <span>{t('Not sent: {detail}', { detail: failed })}</span>
          <button type="button" onClick={() => outbox.retry(send.key)}>
            {t('Retry')}
          </button>
          <button type="button" onClick={() => outbox.discard(send.key)}>
            {t('Discard')}
          </button>
        </p>
      )}
    </li>
  )
})

interface BodyProps {
  /** null: deleted. */
  text: string | null
  mentioned: readonly string[]
  at: string
  notes: readonly (string | false)[]
  status: ReactNode
}

/** The text, and the time that tucks itself into the end of its last line. */
function Body({ text, mentioned, at, notes, status }: BodyProps) {
  return (
    <div className={styles.body} dir="auto" data-anchor>
      {text === null ? (
        <span className={styles.deleted}>{t('Message deleted')}</span>
      ) : (
        <Markup text={text} mentioned={mentioned} />
      )}
      <span className={styles.meta}>
        {notes.filter(Boolean).join(' · ')}
        <time dir="ltr" dateTime={at} title={fullTime(at)}>
          {timeOfDay(at)}
        </time>
        {status}
      </span>
    </div>
  )
}
