import {
  Archive,
  ArrowLeft,
  Ban,
  Bell,
  BellOff,
  EllipsisVertical,
  EyeOff,
  Info,
  LogOut,
  Search,
} from 'lucide-react'
import { useState } from 'react'
import { useStore } from 'zustand'
import type { Entry } from '../../api/protocol'
import { membersText, t } from '../../lib/i18n'
import { useMe, useServices } from '../../stores/context'
import { isMuted } from '../../stores/conversations'
import { Avatar } from '../../ui/Avatar'
import { IconButton } from '../../ui/Button'
import { ConfirmDialog } from '../../ui/ConfirmDialog'
import { Menu, MenuItem, MenuLine, type Origin, originOf } from '../../ui/Menu'
import styles from './ThreadHeader.module.css'
import { useBlocked } from './useBlocked'

interface Props {
  /** null while there is no conversation yet. */
  entry: Entry | null
  peer: number | null
  avatarId: number
  name: string
  onBack(): void
  onInfo(): void
  onSearch(): void
  onGone(): void
}

/** So far away that nobody sees the end of it. */
const ALWAYS = '2999-12-31T00:00:00.000Z'
const HOUR_MS = 3_600_000

export function ThreadHeader({ entry, peer, avatarId, name, onBack, onInfo, onSearch, onGone }: Props) {
  const { actions, live, connection } = useServices()
  const [menu, setMenu] = useState<Origin | null>(null)
  const [asking, setAsking] = useState<'hide' | 'leave' | 'block' | null>(null)
  const online = useStore(live.state, (state) => peer !== null && state.online[peer] === true)
  const searches = useStore(connection.greeting, () => connection.offers('search'))
  const blocked = useBlocked(peer)
  const conversation = entry?.conversation.id ?? 0
  const isGroup = entry?.conversation.kind === 'group'
  const muted = entry !== null && isMuted(entry)
  const archived = entry?.me.archived === true

  const then = (work: () => void) => () => {
    setMenu(null)
    work()
  }
  const mute = (until: string | null) => () => void actions.tried('mute', { conversation, until })

  return (
    <header className={styles.header}>
      <IconButton label={t('Back to conversations')} className={styles.back ?? ''} onClick={onBack}>
        <ArrowLeft size={20} className="mirrored" />
      </IconButton>
      <div className={styles.who}>
        <Avatar id={avatarId} name={name} small group={isGroup} online={online} />
        <span className={styles.names}>
          <h2 className={`${styles.name} one-line`} dir="auto">
            {entry ? (
              <button type="button" className={styles.open} title={t('Info')} onClick={onInfo}>
                {name}
              </button>
            ) : (
              name
            )}
          </h2>
          <Status entry={entry} online={online} blocked={blocked} />
        </span>
      </div>
      {entry && (
        <>
          {searches && (
            <IconButton label={t('Search in this conversation')} onClick={onSearch}>
              <Search size={18} />
            </IconButton>
          )}
          <IconButton
            label={t('Conversation menu')}
            aria-haspopup="menu"
            onClick={(event) => setMenu(originOf(event.currentTarget))}
          >
            <EllipsisVertical size={18} />
          </IconButton>
        </>
      )}
      {menu && (
        <Menu label={t('Conversation menu')} origin={menu} onClose={() => setMenu(null)}>
          <MenuItem icon={<Info size={17} />} onPick={then(onInfo)}>
            {isGroup ? t('Group info') : t('Info')}
          </MenuItem>
          {muted ? (
            <MenuItem icon={<Bell size={17} />} onPick={then(mute(null))}>
              {t('Unmute')}
            </MenuItem>
          ) : (
            <>
              <MenuItem
                icon={<BellOff size={17} />}
                onPick={then(mute(new Date(Date.now() + 8 * HOUR_MS).toISOString()))}
              >
                {t('Mute for 8 hours')}
              </MenuItem>
              <MenuItem icon={<BellOff size={17} />} onPick={then(mute(ALWAYS))}>
                {t('Mute')}
              </MenuItem>
            </>
          )}
          <MenuItem
            icon={<Archive size={17} />}
            onPick={then(() => void actions.tried('archive', { conversation, on: !archived }))}
          >
            {archived ? t('Take out of the archive') : t('Archive')}
          </MenuItem>
          <MenuLine />
          {peer !== null && (
            <MenuItem
              icon={<Ban size={17} />}
              danger={!blocked}
              onPick={then(() =>
                blocked ? void actions.tried('block', { user: peer, on: false }) : setAsking('block'),
              )}
            >
              {blocked ? t('Unblock') : t('Block')}
            </MenuItem>
          )}
          <MenuItem icon={<EyeOff size={17} />} danger onPick={then(() => setAsking('hide'))}>
            {t('Clear and hide')}
          </MenuItem>
          {isGroup && entry?.me.role !== undefined && (
            <MenuItem
              icon={<LogOut size={17} />}
              danger
              onPick={then(() =>
                // Somebody has to own what is left behind: that is chosen where the members are.
                entry.me.role === 'owner' && entry.conversation.members > 1 ? onInfo() : setAsking('leave'),
              )}
            >
              {t('Leave group')}
            </MenuItem>
          )}
        </Menu>
      )}
      {asking === 'hide' && (
        <ConfirmDialog
          title={t('Clear your conversation with {name}?', { name })}
          text={t('It leaves your list and its history is gone for you. The other side keeps theirs.')}
          action={t('Clear and hide')}
          onConfirm={async () => {
            await actions.write('hide', { conversation })
            onGone()
          }}
          onClose={() => setAsking(null)}
        />
      )}
      {asking === 'leave' && (
        <ConfirmDialog
          title={t('Leave {name}?', { name })}
          text={t('You get no more of its messages until somebody adds you again.')}
          action={t('Leave group')}
          onConfirm={async () => {
            await actions.write('leave', { conversation })
            setAsking(null)
          }}
          onClose={() => setAsking(null)}
        />
      )}
      {asking === 'block' && peer !== null && (
        <ConfirmDialog
          title={t('Block {name}?', { name })}
          text={t('They can no longer write to you or add you to groups.')}
          action={t('Block')}
          onConfirm={async () => {
            await actions.write('block', { user: peer, on: true })
            setAsking(null)
          }}
          onClose={() => setAsking(null)}
        />
      )}
    </header>
  )
}

interface StatusProps {
  entry: Entry | null
  online: boolean
  blocked: boolean
}

/** The line below the name: what is going on now. */
function Status({ entry, online, blocked }: StatusProps) {
  const { live, people } = useServices()
  const me = useMe()
  const id = entry?.conversation.id ?? 0
  const typing = useStore(live.state, (state) => state.typing[id])
  const names = useStore(people.state, (state) => state.names)
  const isGroup = entry?.conversation.kind === 'group'
  const typists = (typing ?? []).filter((user) => user !== me.id)
  let text = ''
  if (typists.length > 0) {
    const first = names[typists[0] as number] ?? t('Somebody')
    text = !isGroup
      ? t('typing…')
      : typists.length === 1
        ? t('{name} is typing…', { name: first })
        : t('{count} people are typing…', { count: typists.length })
  } else if (blocked) text = t('blocked')
  else if (isGroup) {
    const count = entry?.conversation.members ?? 0
    text = entry?.me.role === undefined ? t('You are no longer a member') : membersText(count)
  } else if (online) text = t('online')
  return (
    <span className={styles.status} data-live={typists.length > 0 || (online && !isGroup)}>
      {text}
    </span>
  )
}
