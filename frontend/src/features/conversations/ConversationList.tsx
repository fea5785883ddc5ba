import { memo } from 'react'
import { Link } from 'wouter'
import { useStore } from 'zustand'
import type { Conversation, User } from '../../api/types'
import { arrowFocus } from '../../lib/arrowFocus'
import { fullTime, listTime } from '../../lib/time'
import { useMe, useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { Button } from '../../ui/Button'
import styles from './ConversationList.module.css'
import { conversationName, preview } from './describe'

export function ConversationList({ selected }: { selected: number | null }) {
  const { conversations, chat } = useServices()
  const me = useMe()
  const { status, list } = useStore(conversations.state)

  if (status === 'loading') return <Skeleton />
  if (status === 'error' && list.length === 0) {
    return (
      <div className={styles.empty} role="alert">
        <p>Your conversations could not be loaded.</p>
        <Button onClick={() => chat.loadList()}>Try again</Button>
      </div>
    )
  }
  if (list.length === 0) {
    return (
      <div className={styles.empty}>
        <p className={styles.emptyTitle}>No conversations yet</p>
        <p>Search for somebody by name and say hello.</p>
      </div>
    )
  }
  return (
    <nav className={styles.scroller} aria-label="Conversations">
      <ul
        aria-label="Conversations"
        onKeyDown={(event) => arrowFocus(event.key, event.currentTarget) && event.preventDefault()}
      >
        {list.map((entry) => (
          <Row key={entry.id} entry={entry} me={me} selected={entry.id === selected} />
        ))}
      </ul>
    </nav>
  )
}

const Row = memo(function Row({ entry, me, selected }: { entry: Conversation; me: User; selected: boolean }) {
  const name = conversationName(entry)
  return (
    <li>
      <Link
        href={`/c/${entry.id}`}
        className={styles.row ?? ''}
        aria-current={selected ? 'page' : undefined}
        state={{ fromList: true }}
      >
        <Avatar id={entry.peer?.id ?? entry.id} name={name} />
        <span className={styles.line}>
          <span className={`${styles.name} one-line`} dir="auto">
            {name}
          </span>
          <time className={styles.time} dateTime={entry.updated_at} title={fullTime(entry.updated_at)}>
            {listTime(entry.updated_at)}
          </time>
        </span>
        <span className={styles.line}>
          <span className={`${styles.preview} one-line`} dir="auto">
            {preview(entry.last_message, me.id)}
          </span>
          {entry.unread > 0 && (
            <span className={styles.badge}>
              {entry.unread > 99 ? '99+' : entry.unread}
              <span className="visually-hidden"> unread</span>
            </span>
          )}
        </span>
      </Link>
    </li>
  )
})

function Skeleton() {
  return (
    <div className={styles.scroller} role="status">
      <span className="visually-hidden">Loading conversations</span>
      {['a', 'b', 'c', 'd', 'e'].map((key) => (
        <div key={key} className={styles.ghost} aria-hidden>
          <i />
          <b />
          <s />
        </div>
      ))}
    </div>
  )
}
