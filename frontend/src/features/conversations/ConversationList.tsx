import { Archive, ArrowLeft, AtSign, BellOff } from 'lucide-react'
import { memo, useEffect, useState } from 'react'
import { Link } from 'wouter'
import { useStore } from 'zustand'
import type { Entry, User } from '../../api/protocol'
import { arrowFocus } from '../../lib/arrowFocus'
import { t } from '../../lib/i18n'
import { fullTime, listTime } from '../../lib/time'
import { useMe, useServices } from '../../stores/context'
import { isMuted } from '../../stores/conversations'
import { avatarId, entryName, preview } from '../../stores/describe'
import { Avatar } from '../../ui/Avatar'
import { IconButton } from '../../ui/Button'
import styles from './ConversationList.module.css'

/** Rows drawn at first, and more with each screenful scrolled. */
const STEP = 60

export function ConversationList({ selected }: { selected: number | null }) {
  const { conversations, chat } = useServices()
  const me = useMe()
  const { status, list, next } = useStore(conversations.state)
  const [archived, setArchived] = useState(false)
  const [shown, setShown] = useState(STEP)

  if (status === 'loading') return <Skeleton />
  if (status === 'error' && list.length === 0) {
    return (
      <div className={styles.empty} role="alert">
        <p>{t('Your conversations could not be loaded.')}</p>
      </div>
    )
  }
  const listed = list.filter((entry) => entry.me.listed)
  const away = listed.filter((entry) => entry.me.archived)
  const showsArchive = archived && away.length > 0
  const rows = showsArchive ? away : listed.filter((entry) => !entry.me.archived)
  if (listed.length === 0) {
    return (
      <div className={styles.empty}>
        <p className={styles.emptyTitle}>{t('No conversations yet')}</p>
        <p>{t('Search for somebody by name and say hello.')}</p>
      </div>
    )
  }

  function onScroll(event: React.UIEvent<HTMLElement>) {
    const box = event.currentTarget
    if (box.scrollHeight - box.scrollTop - box.clientHeight > 600) return
    if (shown < rows.length) setShown(shown + STEP)
    else if (next !== null) void chat.inbox.loadMore()
  }

  const awayUnread = away.reduce((sum, entry) => sum + (isMuted(entry) ? 0 : entry.me.unread), 0)
  return (
    <nav className={styles.scroller} aria-label={t('Conversations')} onScroll={onScroll}>
      {showsArchive && (
        <div className={styles.archiveHead}>
          <IconButton label={t('Back to conversations')} onClick={() => setArchived(false)}>
            <ArrowLeft size={18} className="mirrored" />
          </IconButton>
          <h2>{t('Archived')}</h2>
        </div>
      )}
      <ul
        aria-label={t('Conversations')}
        onKeyDown={(event) => arrowFocus(event.key, event.currentTarget) && event.preventDefault()}
      >
        {!showsArchive && away.length > 0 && (
          <li>
            <button type="button" className={styles.archive} onClick={() => setArchived(true)}>
              <Archive size={18} aria-hidden />
              <span className={styles.name}>{t('Archived')}</span>
              {awayUnread > 0 && <Badge count={awayUnread} quiet />}
            </button>
          </li>
        )}
        {rows.slice(0, shown).map((entry) => (
          <Row
            key={entry.conversation.id}
            entry={entry}
            me={me}
            selected={entry.conversation.id === selected}
          />
        ))}
      </ul>
    </nav>
  )
}

function Badge({ count, quiet }: { count: number; quiet: boolean }) {
  return (
    <span className={styles.badge} data-quiet={quiet}>
      {count > 99 ? '99+' : count}
      <span className="visually-hidden"> {t('unread')}</span>
    </span>
  )
}

interface RowProps {
  entry: Entry
  me: User
  selected: boolean
}

const Row = memo(function Row({ entry, me, selected }: RowProps) {
  const { people, live, drafts } = useServices()
  const { id, kind } = entry.conversation
  const name = useStore(people.state, ({ names }) => entryName(entry, names))
  const peer = entry.peer?.id
  const online = useStore(live.state, (state) => peer !== undefined && state.online[peer] === true)
  const typing = useStore(live.state, (state) => state.typing[id]?.[0])
  const draft = useStore(drafts.state, (state) => state.drafts.get(`c${id}`)?.text)
  const sender = kind === 'group' ? entry.last?.sender : undefined
  const senderName = useStore(people.state, ({ names }) => (sender != null ? names[sender] : undefined))
  const typist = useStore(people.state, ({ names }) => (typing === undefined ? undefined : names[typing]))
  useEffect(() => {
    if (sender != null && sender !== me.id) people.ask(sender)
  }, [sender, me.id, people])

  const { unread, mentions } = entry.me
  const muted = isMuted(entry)
  return (
    <li>
      <Link
        href={`/c/${id}`}
        className={styles.row ?? ''}
        aria-current={selected ? 'page' : undefined}
        state={{ fromList: true }}
      >
        <Avatar id={avatarId(entry)} name={name} group={kind === 'group'} online={online} />
        <span className={styles.line}>
          <span className={`${styles.name} one-line`} dir="auto">
            {name}
          </span>
          {online && <span className="visually-hidden">{t('online')}</span>}
          {muted && <BellOff size={14} className={styles.mute ?? ''} role="img" aria-label={t('Muted')} />}
          <time className={styles.time} dateTime={entry.at} title={fullTime(entry.at)}>
            {listTime(entry.at)}
          </time>
        </span>
        <span className={styles.line}>
          {typing !== undefined ? (
            <span className={`${styles.preview} ${styles.typing} one-line`}>
              {kind === 'group' ? t('{name} is typing…', { name: typist ?? t('Somebody') }) : t('typing…')}
            </span>
          ) : draft && !selected ? (
            <span className={`${styles.preview} one-line`} dir="auto">
              <span className={styles.draft}>{t('Draft')}: </span>
              {draft}
            </span>
          ) : (
            <span className={`${styles.preview} one-line`} dir="auto">
              {preview(entry.last, me.id, kind === 'group' ? (senderName ?? null) : null)}
            </span>
          )}
          {mentions > 0 && (
            <span className={styles.mention}>
              <AtSign size={13} role="img" aria-label={t('You are mentioned')} />
              {mentions > 1 && (mentions > 99 ? '99+' : mentions)}
            </span>
          )}
          {unread > 0 && <Badge count={unread} quiet={muted} />}
        </span>
      </Link>
    </li>
  )
})

function Skeleton() {
  return (
    <div className={styles.scroller} role="status">
      <span className="visually-hidden">{t('Loading conversations')}</span>
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
