import { ArrowDown } from 'lucide-react'
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react'
import { useStore } from 'zustand'
import { dayLabel } from '../../lib/time'
import { useMe, useServices } from '../../stores/context'
import { sameTarget, type Target } from '../../stores/outbox'
import { Button } from '../../ui/Button'
import { Spinner } from '../../ui/Spinner'
import { LogScroller } from './LogScroller'
import styles from './MessageLog.module.css'
import { MessageRow, PendingRow } from './MessageRow'
import { buildRows, firstUnread } from './rows'
import { useViewing } from './useViewing'

interface Props {
  target: Target
  /** The other person, or the group. */
  name: string
  isGroup: boolean
}

const NONE: readonly never[] = []

export function MessageLog({ target, name, isGroup }: Props) {
  const { messages, outbox, chat, conversations } = useServices()
  const me = useMe()
  const id = 'conversationId' in target ? target.conversationId : null
  const thread = useStore(messages.state, ({ threads }) => (id === null ? undefined : threads[id]))
  const sends = useStore(outbox.state, (state) => state.sends)
  const unread = useStore(
    conversations.state,
    ({ list }) => list.find((entry) => entry.id === id)?.unread ?? 0,
  )
  const mine = useMemo(() => sends.filter((send) => sameTarget(send.target, target)), [sends, target])
  const items = thread?.items ?? NONE
  // Reading takes the count away, but the line stays where it was when the thread was opened.
  const [unreadAtOpen] = useState(unread)
  const [newFrom, setNewFrom] = useState<number | null>()
  if (newFrom === undefined && thread?.status === 'ready') setNewFrom(firstUnread(items, unreadAtOpen, me.id))
  const rows = useMemo(() => buildRows(items, mine, me.id, newFrom ?? null), [items, mine, me.id, newFrom])
  const [atEnd, setAtEnd] = useState(true)
  const scroller = useRef<LogScroller>(null)
  const newestSend = mine.at(-1)?.id ?? 0
  const hasNewer = thread?.hasNewer ?? false

  useEffect(() => {
    chat.openThread(id)
    return () => chat.openThread(null)
  }, [chat, id])
  useViewing(id, atEnd && !hasNewer && thread?.status === 'ready')

  // Somebody who sends from far up in the history goes on at its end.
  useEffect(() => {
    if (newestSend > 0 && id !== null && messages.get(id)?.hasNewer) chat.loadLatest(id)
  }, [newestSend, id, chat, messages])

  const loading = id !== null && (!thread || thread.status === 'loading')
  if (loading && mine.length === 0 && items.length === 0) {
    return (
      <Notice>
        <Spinner />
        <span className="visually-hidden" role="status">
          Loading messages
        </span>
      </Notice>
    )
  }
  if (thread?.status === 'missing') return <Notice>This conversation is no longer here.</Notice>
  if (id !== null && thread?.status === 'error') {
    return (
      <Notice>
        <span role="alert">The messages could not be loaded.</span>
        <Button onClick={() => chat.openThread(id)}>Try again</Button>
      </Notice>
    )
  }

  async function jump() {
    if (id !== null && hasNewer) await chat.loadLatest(id)
    scroller.current?.toEnd()
  }

  return (
    <div className={styles.frame}>
      <LogScroller
        ref={scroller}
        className={styles.scroller ?? ''}
        hasNewer={hasNewer}
        endKey={newestSend}
        onAtEnd={setAtEnd}
        onNearTop={() => id !== null && thread?.older === 'idle' && chat.loadOlder(id)}
        onNearEnd={() => id !== null && thread?.newer === 'idle' && chat.loadNewer(id)}
      >
        <div className={styles.content}>
          {thread?.older === 'loading' && (
            <p className={styles.edge}>
              <Spinner />
            </p>
          )}
          {thread?.older === 'error' && id !== null && (
            <p className={styles.edge}>
              Older messages could not be loaded.
              <Button onClick={() => chat.loadOlder(id)}>Try again</Button>
            </p>
          )}
          {rows.length === 0 && (
            <p className={styles.hello}>
              No messages yet. Say hello to <bdi>{name}</bdi>.
            </p>
          )}
          <ol className={styles.list}>
            {rows.map((row) =>
              row.type === 'day' ? (
                <li key={row.key} className={styles.day}>
                  <time dateTime={row.timestamp}>{dayLabel(row.timestamp)}</time>
                </li>
              ) : row.type === 'new' ? (
                <li key={row.key} className={styles.new}>
                  New messages
                </li>
              ) : row.type === 'message' ? (
                <MessageRow
                  key={row.key}
                  message={row.message}
                  own={row.message.sender_id === me.id}
                  first={row.first}
                  last={row.last}
                  inGroup={isGroup}
                />
              ) : (
                <PendingRow key={row.key} send={row.send} first={row.first} last={row.last} />
              ),
            )}
          </ol>
          {thread?.newer === 'error' && id !== null && (
            <p className={styles.edge}>
              Newer messages could not be loaded.
              <Button onClick={() => chat.loadNewer(id)}>Try again</Button>
            </p>
          )}
        </div>
      </LogScroller>
      {(!atEnd || hasNewer) && (
        <button type="button" className={styles.jump} aria-label="Jump to latest" onClick={jump}>
          <ArrowDown size={20} aria-hidden />
          {unread > 0 && <span className={styles.count}>{unread > 99 ? '99+' : unread}</span>}
        </button>
      )}
    </div>
  )
}

function Notice({ children }: { children: ReactNode }) {
  return <div className={styles.notice}>{children}</div>
}
