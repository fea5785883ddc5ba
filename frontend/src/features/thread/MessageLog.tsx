import { ArrowDown } from 'lucide-react'
import {
  type KeyboardEvent,
  lazy,
  type ReactNode,
  Suspense,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react'
import { flushSync } from 'react-dom'
import { useStore } from 'zustand'
import { t } from '../../lib/i18n'
import { dayLabel } from '../../lib/time'
import { useMe, useServices } from '../../stores/context'
import { sameTarget, type Target } from '../../stores/outbox'
import type { ThreadMessage } from '../../stores/ranges'
import { shownRange } from '../../stores/threads'
import { Boundary } from '../../ui/Boundary'
import { Button } from '../../ui/Button'
import { ConfirmDialog } from '../../ui/ConfirmDialog'
import { Menu, type Origin, originOf } from '../../ui/Menu'
import { Spinner } from '../../ui/Spinner'
import { LogScroller } from './LogScroller'
import styles from './MessageLog.module.css'
import { MessageMenu, type Rights } from './MessageMenu'
import { BrokenRow, MessageRow, PendingRow, type Reached, type RowCalls } from './MessageRow'
import { NoteRow } from './NoteRow'
import { buildRows, byDay, firstUnread } from './rows'
import { AT_END, around, earlier, later, pinned as pinnedSpan, places, type Span } from './span'
import { isLooking, useViewing } from './useViewing'

const EmojiPicker = lazy(() => import('../emoji/EmojiPicker'))

interface Props {
  conversation: number | null
  /** The person written to, while there is no conversation yet, and after. */
  peer: number | null
  /** The other person, or the group. */
  name: string
  isGroup: boolean
  rights: Rights
  /** A message to show, and a number that changes with every wish. */
  goal: { id: number; wish: number } | null
  onReply(message: ThreadMessage): void
  onEdit(message: ThreadMessage): void
}

const NONE: readonly never[] = []
const FLASH_MS = 1_800

interface Opened {
  what: 'menu' | 'emoji' | 'delete'
  message: ThreadMessage
  origin: Origin
}

export function MessageLog(props: Props) {
  const { conversation: id, peer, name, isGroup, rights, goal, onReply, onEdit } = props
  const { threads, outbox, chat, conversations, live, notes: noted, actions } = useServices()
  const me = useMe()
  const thread = useStore(threads.state, (state) => (id === null ? undefined : state.threads[id]))
  const entry = useStore(conversations.state, ({ list }) =>
    list.find(({ conversation }) => conversation.id === id),
  )
  const sends = useStore(outbox.state)
  const receipts = useStore(live.state, (state) => (id === null ? undefined : state.receipts[id]))
  const range = shownRange(thread)
  const items = range?.items ?? NONE
  const waiting = useMemo(() => {
    const here = (to: Target) =>
      (id !== null && sameTarget(to, { conversation: id })) ||
      (peer !== null && sameTarget(to, { user: peer }))
    return sends.sends.filter((send) => here(send.to) && sends.arrived[send.key] === undefined)
  }, [sends, id, peer])

  // Reading takes the count away, but the line stays where it was when the thread was opened.
  const [opening] = useState(() => ({ ...entry?.me, last: entry?.last?.id ?? 0 }))
  const [newFrom, setNewFrom] = useState<number | null>()
  const known = thread?.status === 'ready' && items.length > 0
  // What the device had kept may end before the news begin.
  const reachesNews = known && (!range?.atEnd || (items.at(-1)?.id ?? 0) >= opening.last)
  const news =
    newFrom === undefined && reachesNews
      ? firstUnread(items, opening.read ?? 0, goal ? 0 : (opening.unread ?? 0), me.id)
      : undefined
  const [span, setSpan] = useState<Span>(AT_END)
  if (news !== undefined && news !== 'further') {
    setNewFrom(news)
    if (news !== null) setSpan(around(items, news))
  }
  const [start, end] = places(items, span)
  const showsEnd = (range?.atEnd ?? true) && end === items.length
  const allNotes =
    useStore(noted.state, ({ notes }) => (isGroup && id !== null ? notes[id] : undefined)) ?? NONE
  // Of what is drawn: from its first message, or the beginning, to its last one, or the end.
  const after = start === 0 && range?.atStart ? 0 : (items[start]?.id ?? 0)
  const before = showsEnd ? Number.POSITIVE_INFINITY : (items[end]?.id ?? 0)
  const days = useMemo(() => {
    const notes = allNotes.filter(({ seq }) => seq > after && seq < before)
    return byDay(buildRows(items.slice(start, end), notes, showsEnd ? waiting : NONE, me.id, newFrom ?? null))
  }, [items, allNotes, start, end, after, before, showsEnd, waiting, me.id, newFrom])
  const through = thread?.status === 'ready' ? (entry?.head ?? 0) : 0
  useEffect(() => {
    if (!isGroup || id === null || through === 0) return
    const drawn = items.slice(start, end).map((item) => item.id)
    noted.need(id, after, showsEnd ? through : (drawn.at(-1) ?? 0), drawn)
  }, [isGroup, id, through, items, start, end, after, showsEnd, noted])
  const [atEnd, setAtEnd] = useState(true)
  const [active, setActive] = useState<number | null>(null)
  const [flash, setFlash] = useState<number | null>(null)
  const [opened, setOpened] = useState<Opened | null>(null)
  const scroller = useRef<LogScroller>(null)
  const newestSend = waiting.at(-1)?.key ?? ''
  const [endKey, setEndKey] = useState('')

  useEffect(() => {
    chat.openThread(id)
    return () => chat.openThread(null)
  }, [chat, id])
  const [arrived, setArrived] = useState(false)
  const looked = useRef(() => {})
  looked.current = () => {
    if (!arrived || !entry?.me.unread || !isLooking()) return
    const row = scroller.current?.lastSeen()
    const message = row && messageOf(row)
    if (message) chat.saw(message)
  }
  const look = useCallback(() => looked.current(), [])
  useViewing(id, arrived && atEnd && showsEnd && thread?.status === 'ready', look)

  // Somebody who sends from far up in the history goes on at its end.
  useEffect(() => {
    if (!newestSend) return
    setSpan(AT_END)
    setEndKey(newestSend)
    if (id !== null && shownRange(threads.get(id))?.atEnd === false) void chat.history.showLatest(id)
  }, [newestSend, id, chat, threads])

  // A thread with news opens where they begin, however far up that is.
  const seeks = news === 'further'
  useEffect(() => {
    if (seeks && id !== null)
      void chat.history.showAfter(id, opening.read ?? 0).then((first) => first ?? setNewFrom(null))
  }, [seeks, id, chat, opening])
  useLayoutEffect(() => {
    if (newFrom === undefined) return
    if (newFrom !== null) scroller.current?.show('[data-new]', 'start')
    setArrived(true)
  }, [newFrom])
  useEffect(() => {
    if (arrived) look()
  }, [arrived, look])

  // A message that is wished for is loaded, then drawn, then put in the middle.
  const reveal = useRef<(message: number) => void>(() => {})
  reveal.current = (message) => {
    flushSync(() => {
      setSpan(around(shownRange(threads.get(id ?? 0))?.items ?? [], message))
      setFlash(message)
    })
    scroller.current?.show(`[data-id="${message}"]`, 'center')
  }
  const shownWish = useRef(0)
  useEffect(() => {
    if (!goal || id === null || shownWish.current === goal.wish) return
    let over = false
    void chat.history.jumpTo(id, goal.id).then((found) => {
      if (over || !found) return
      shownWish.current = goal.wish
      reveal.current(goal.id)
    })
    return () => {
      over = true
    }
  }, [goal, id, chat])
  useEffect(() => {
    if (flash === null) return
    const timer = setTimeout(() => setFlash(null), FLASH_MS)
    return () => clearTimeout(timer)
  }, [flash])

  const jumpHere = useRef<(message: number) => void>(() => {})
  jumpHere.current = (message) => {
    if (id !== null) void chat.history.jumpTo(id, message).then((found) => found && reveal.current(message))
  }

  const calls = useMemo<RowCalls>(
    () => ({
      menu: (message, origin) => setOpened({ what: 'menu', message, origin }),
      emoji: (message, origin) => setOpened({ what: 'emoji', message, origin }),
      reply: onReply,
      react: (message, emoji) =>
        void actions.react(message.conversation, message.id, emoji, message.mine?.includes(emoji) === true),
      jump: (message) => jumpHere.current(message),
    }),
    [actions, onReply],
  )

  const others = Object.values(receipts ?? {})
  // Who writes has read what stands above: so much is known without having been there.
  const answered = items.findLast(({ sender }) => sender !== null && sender !== me.id)?.id ?? 0
  const readTo = Math.max(answered, ...others.map((receipt) => receipt.read))
  const deliveredTo = Math.max(readTo, ...others.map((receipt) => receipt.delivered))
  const reachedBy = (message: number): Reached =>
    message <= readTo ? 'read' : message <= deliveredTo ? 'delivered' : 'sent'

  if (id !== null && (!thread || thread.status === 'loading') && items.length === 0 && waiting.length === 0) {
    return (
      <Notice>
        <Spinner />
        <span className="visually-hidden" role="status">
          {t('Loading messages')}
        </span>
      </Notice>
    )
  }
  if (thread?.status === 'missing') return <Notice>{t('This conversation is no longer here.')}</Notice>
  if (id !== null && thread?.status === 'error' && items.length === 0) {
    return (
      <Notice>
        <span role="alert">{t('The messages could not be loaded.')}</span>
        <Button onClick={() => chat.openThread(id)}>{t('Try again')}</Button>
      </Notice>
    )
  }

  async function toLatest() {
    if (id !== null && !showsEnd) await chat.history.showLatest(id)
    setSpan(AT_END)
    setEndKey(`jump${Date.now()}`)
  }

  function nearTop() {
    if (start > 0) setSpan(earlier(items, span))
    else if (id !== null && thread?.older === 'idle' && range && !range.atStart)
      void chat.history.loadOlder(id)
  }

  function nearEnd() {
    if (span.to !== null) setSpan(later(items, span))
    else if (id !== null && thread?.newer === 'idle' && range && !range.atEnd) void chat.history.loadNewer(id)
  }

  function onAtEnd(now: boolean) {
    setAtEnd(now)
    setSpan((old) => (now && old.to === null && range?.atEnd ? AT_END : pinnedSpan(items, old)))
  }

  const messageOf = (target: EventTarget): ThreadMessage | undefined => {
    const row = (target as Element).closest?.('[data-id]')
    return row ? items.find((item) => item.id === Number(row.getAttribute('data-id'))) : undefined
  }

  /** Arrows go from message to message; on one, single keys do what the menu does. */
  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const box = event.currentTarget
    const row = (event.target as Element).closest('[data-id]')
    if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      const all = [...box.querySelectorAll<HTMLElement>('[data-id]')]
      const at = row ? all.indexOf(row as HTMLElement) : all.length
      const next = all[event.key === 'ArrowUp' ? at - 1 : at + 1]
      if (!next) return
      event.preventDefault()
      next.focus({ preventScroll: true })
      next.scrollIntoView({ block: 'nearest' })
      return
    }
    if (event.key === 'End') {
      event.preventDefault()
      void toLatest()
      return
    }
    const message = messageOf(event.target)
    if (!message || event.target !== row) return
    if (event.key === 'Enter' || event.key === 'ContextMenu') calls.menu(message, originOf(row as Element))
    else if (message.deleted || !rights.write) return
    else if (event.key === 'r') onReply(message)
    else if (event.key === 'e' && message.sender === me.id) onEdit(message)
    else if (event.key === '+') calls.emoji(message, originOf(row as Element))
    else if (event.key === 'Delete' && (message.sender === me.id || rights.deleteOthers))
      setOpened({ what: 'delete', message, origin: originOf(row as Element) })
    else return
    event.preventDefault()
  }

  const pins = entry?.conversation.pins ?? NONE
  const unread = entry?.me.unread ?? 0
  // The message as it is now: it may have changed since its menu was opened.
  const subject = opened && (items.find((item) => item.id === opened.message.id) ?? opened.message)
  return (
    <div
      className={styles.frame}
      onPointerOver={(event) => {
        if (event.pointerType !== 'touch') setActive(messageOf(event.target)?.id ?? null)
      }}
      onPointerLeave={() => setActive(null)}
    >
      <LogScroller
        ref={scroller}
        className={styles.scroller ?? ''}
        label={t('Messages')}
        hasNewer={!showsEnd}
        endKey={endKey}
        onAtEnd={onAtEnd}
        onNearTop={nearTop}
        onNearEnd={nearEnd}
        onLook={look}
        onKeyDown={onKeyDown}
      >
        <div className={styles.content}>
          {thread?.older === 'loading' && (
            <p className={styles.edge}>
              <Spinner />
            </p>
          )}
          {thread?.older === 'error' && id !== null && (
            <p className={styles.edge}>
              {t('Older messages could not be loaded.')}
              <Button onClick={() => chat.history.loadOlder(id)}>{t('Try again')}</Button>
            </p>
          )}
          {days.length === 0 && (
            <p className={styles.hello}>
              {isGroup ? t('No messages yet in') : t('No messages yet. Say hello to')} <bdi>{name}</bdi>.
            </p>
          )}
          {days.map((day) => (
            <ol key={day.key}>
              {day.rows.map((row) =>
                row.type === 'day' ? (
                  <li key={row.key} className={styles.day}>
                    <time dateTime={row.at}>{dayLabel(row.at)}</time>
                  </li>
                ) : row.type === 'new' ? (
                  <li key={row.key} className={styles.new} data-new>
                    {t('New messages')}
                  </li>
                ) : row.type === 'note' ? (
                  <NoteRow key={row.key} note={row.note} />
                ) : row.type === 'message' ? (
                  <Boundary
                    key={row.key}
                    of={row.message}
                    instead={
                      <BrokenRow id={row.message.id} own={row.message.sender === me.id} first={row.first} />
                    }
                  >
                    <MessageRow
                      message={row.message}
                      own={row.message.sender === me.id}
                      first={row.first}
                      last={row.last}
                      inGroup={isGroup}
                      reached={row.message.sender === me.id ? reachedBy(row.message.id) : null}
                      pinned={pins.includes(row.message.id)}
                      flash={flash === row.message.id}
                      active={active === row.message.id && rights.write}
                      calls={calls}
                    />
                  </Boundary>
                ) : (
                  <PendingRow key={row.key} send={row.send} first={row.first} last={row.last} />
                ),
              )}
            </ol>
          ))}
          {thread?.newer === 'error' && id !== null && (
            <p className={styles.edge}>
              {t('Newer messages could not be loaded.')}
              <Button onClick={() => chat.history.loadNewer(id)}>{t('Try again')}</Button>
            </p>
          )}
        </div>
      </LogScroller>
      {(!atEnd || !showsEnd) && (
        <button type="button" className={styles.jump} aria-label={t('Jump to latest')} onClick={toLatest}>
          <ArrowDown size={20} aria-hidden />
          {unread > 0 && <span className={styles.count}>{unread > 99 ? '99+' : unread}</span>}
        </button>
      )}
      {opened?.what === 'menu' && subject && (
        <MessageMenu
          message={subject}
          own={subject.sender === me.id}
          pinned={pins.includes(subject.id)}
          rights={rights}
          origin={opened.origin}
          onClose={() => setOpened((now) => (now?.what === 'menu' ? null : now))}
          onReact={(emoji) => calls.react(subject, emoji)}
          onMoreEmoji={() => setOpened({ ...opened, what: 'emoji' })}
          onReply={() => onReply(subject)}
          onEdit={() => onEdit(subject)}
          onDelete={() => setOpened({ ...opened, what: 'delete' })}
        />
      )}
      {opened?.what === 'emoji' && subject && (
        <Menu
          label={t('Other reactions')}
          role="dialog"
          origin={opened.origin}
          onClose={() => setOpened((now) => (now?.what === 'emoji' ? null : now))}
        >
          <Suspense fallback={<Spinner />}>
            <EmojiPicker
              onPick={(emoji) => {
                setOpened(null)
                calls.react(subject, emoji)
              }}
            />
          </Suspense>
        </Menu>
      )}
      {opened?.what === 'delete' && subject && (
        <ConfirmDialog
          title={t('Delete this message?')}
          text={t('Its text is gone for everybody in this conversation.')}
          action={t('Delete')}
          onConfirm={async () => {
            await actions.write('delete', { conversation: subject.conversation, message: subject.id })
            setOpened(null)
          }}
          onClose={() => setOpened(null)}
        />
      )}
    </div>
  )
}

function Notice({ children }: { children: ReactNode }) {
  return <div className={styles.notice}>{children}</div>
}
