import { Keyboard, Menu as MenuIcon, MessagesSquare, Settings as SettingsIcon, Users } from 'lucide-react'
import { lazy, Suspense, useCallback, useEffect, useLayoutEffect, useMemo, useState } from 'react'
import { Redirect, useLocation, useRoute, useSearchParams } from 'wouter'
import { useStore } from 'zustand'
import type { Entry } from '../api/protocol'
import { ConnectionBanner } from '../features/connection/ConnectionBanner'
import { ConversationList } from '../features/conversations/ConversationList'
import { SearchBox } from '../features/search/SearchBox'
import { appName, brandName } from '../lib/brand'
import { t } from '../lib/i18n'
import { useMe, useServices } from '../stores/context'
import { isMuted } from '../stores/conversations'
import { Avatar } from '../ui/Avatar'
import { Boundary } from '../ui/Boundary'
import { IconButton } from '../ui/Button'
import { Menu, MenuItem, type Origin, originOf } from '../ui/Menu'
import { Toaster } from '../ui/Toaster'
import { OverlayFault, PaneFault } from './Fault'
import styles from './Shell.module.css'
import { useFileGuard } from './useFileGuard'
import { useShortcuts } from './useShortcuts'

const loadPane = () => import('./ChatPane')
// One for both kinds: a second one would be waited for when a first message makes its conversation, without a field to type in.
const ChatPane = lazy(() => loadPane().then((m) => ({ default: m.ChatPane })))
const NewGroup = lazy(() => import('../features/group/NewGroup').then((m) => ({ default: m.NewGroup })))
const Settings = lazy(() => import('../features/settings/Settings').then((m) => ({ default: m.Settings })))
const Switcher = lazy(() => import('../features/switcher/Switcher').then((m) => ({ default: m.Switcher })))
const Shortcuts = lazy(() => import('../features/help/Shortcuts').then((m) => ({ default: m.Shortcuts })))

/** As in Shell.module.css. */
const onePane = matchMedia('(max-width: 720px)')

export type Overlay = 'group' | 'settings' | 'switcher' | 'shortcuts'

/** `/c/12` and `/u/12`; anything else is the list alone. `?m=7` is a message in it. */
function usePlace() {
  const [inConversation, conversation] = useRoute('/c/:id')
  const [withUser, user] = useRoute('/u/:id')
  const [path] = useLocation()
  const [search] = useSearchParams()
  const id = (text: string | null | undefined) =>
    text != null && /^\d{1,16}$/.test(text) ? Number(text) : null
  const conversationId = inConversation ? id(conversation.id) : null
  const userId = withUser ? id(user.id) : null
  return {
    conversationId,
    userId,
    message: id(search.get('m')),
    lost: conversationId === null && userId === null && path !== '/',
  }
}

export function Shell() {
  const { conversationId, userId, message, lost } = usePlace()
  const started = useDirectWith(userId)
  const [overlay, setOverlay] = useState<Overlay | null>(null)
  const close = useCallback(() => setOverlay(null), [])
  const [within, setWithin] = useState<number | null>(null)
  useFileGuard()
  useShortcuts(conversationId, setOverlay, setWithin)
  // The list is there first; what most people open next comes while they look at it.
  useEffect(() => {
    const timer = setTimeout(() => void loadPane().catch(() => {}), 200)
    return () => clearTimeout(timer)
  }, [])
  // A search belongs to the conversation it was begun in.
  if (within !== null && within !== conversationId) setWithin(null)
  // Every visit of a message's address is a wish to see it.
  const wish = useMemo(() => (message === null ? null : { id: message, wish: Math.random() }), [message])
  if (lost) return <Redirect to="/" replace />

  const inChat = conversationId !== null || userId !== null
  return (
    <main className={styles.shell} data-shows={inChat && within === null ? 'chat' : 'list'}>
      <h1 className="visually-hidden">{appName()}</h1>
      {started !== null && <Begun user={userId ?? 0} conversation={started} />}
      <TitleBadge />
      <Announcer />
      <ConnectionBanner />
      <section className={styles.side} aria-label={t('Chats')}>
        <Account onOpen={setOverlay} />
        <Boundary instead={<PaneFault title={t('The list cannot be shown')} />}>
          <SearchBox
            within={within}
            onLeave={() => setWithin(null)}
            // With one pane the message takes the place of what was found.
            onShow={() => onePane.matches && setWithin(null)}
          >
            <ConversationList selected={conversationId} />
          </SearchBox>
        </Boundary>
      </section>
      <section className={styles.main} aria-label={t('Conversation')}>
        <Boundary
          of={conversationId ?? userId}
          instead={<PaneFault title={t('This conversation cannot be shown')} away />}
        >
          <Suspense>
            {inChat ? (
              <ChatPane
                key={conversationId === null ? `u${userId}` : `c${conversationId}`}
                id={conversationId}
                userId={userId}
                goal={wish}
                onSearch={() => setWithin(conversationId)}
              />
            ) : (
              <Blank />
            )}
          </Suspense>
        </Boundary>
      </section>
      <Boundary of={overlay} instead={<OverlayFault onClose={close} />}>
        <Suspense>
          {overlay === 'group' && <NewGroup onClose={close} />}
          {overlay === 'settings' && <Settings onClose={close} />}
          {overlay === 'switcher' && <Switcher onClose={close} />}
          {overlay === 'shortcuts' && <Shortcuts onClose={close} />}
        </Suspense>
      </Boundary>
      <Toasts />
    </main>
  )
}

function Blank() {
  return (
    <div className={styles.blank}>
      {brandName() === null ? (
        <MessagesSquare size={36} strokeWidth={1.5} aria-hidden />
      ) : (
        <img src="/favicon.svg" alt="" width="48" height="48" />
      )}
      <p>{t('Choose a conversation, or find somebody to talk to.')}</p>
      <p className={styles.hint}>
        <kbd>{/Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl'}</kbd> <kbd>K</kbd>{' '}
        {t('goes to any conversation')}
      </p>
    </div>
  )
}

/** A chat with a person moves to its conversation as soon as there is one. */
function useDirectWith(userId: number | null): number | null {
  const { conversations } = useServices()
  const id = useStore(conversations.state, () =>
    userId === null ? undefined : conversations.withPeer(userId)?.conversation.id,
  )
  return id ?? null
}

/** Goes there, and takes along what was written meanwhile. */
function Begun({ user, conversation }: { user: number; conversation: number }) {
  const { drafts } = useServices()
  const [, navigate] = useLocation()
  useLayoutEffect(() => {
    drafts.move(`u${user}`, `c${conversation}`)
    navigate(`/c/${conversation}`, { replace: true, state: history.state })
  }, [drafts, navigate, user, conversation])
  return null
}

function Account({ onOpen }: { onOpen(overlay: Overlay): void }) {
  const me = useMe()
  const [menu, setMenu] = useState<Origin | null>(null)
  const open = (overlay: Overlay) => () => {
    setMenu(null)
    onOpen(overlay)
  }
  return (
    <header className={styles.account}>
      <Avatar id={me.id} name={me.name} small />
      <p className={`${styles.username} one-line`} dir="auto">
        {me.name}
      </p>
      <IconButton label={t('New group')} onClick={() => onOpen('group')}>
        <Users size={18} />
      </IconButton>
      <IconButton
        label={t('Menu')}
        aria-haspopup="menu"
        onClick={(event) => setMenu(originOf(event.currentTarget))}
      >
        <MenuIcon size={18} />
      </IconButton>
      {menu && (
        <Menu label={t('Menu')} origin={menu} onClose={() => setMenu(null)}>
          <MenuItem icon={<Users size={17} />} onPick={open('group')}>
            {t('New group')}
          </MenuItem>
          <MenuItem icon={<SettingsIcon size={17} />} onPick={open('settings')}>
            {t('Settings')}
          </MenuItem>
          <MenuItem icon={<Keyboard size={17} />} onPick={open('shortcuts')}>
            {t('Keyboard shortcuts')}
          </MenuItem>
        </Menu>
      )}
    </header>
  )
}

/** What is muted counts only where one is meant. */
const counted = ({ me }: Entry, muted: boolean) => (!me.listed ? 0 : muted ? me.mentions : me.unread)

function TitleBadge() {
  const { conversations } = useServices()
  const unread = useStore(conversations.state, ({ list }) =>
    list.reduce((sum, entry) => sum + counted(entry, isMuted(entry)), 0),
  )
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${appName()}` : appName()
  }, [unread])
  return null
}

function Announcer() {
  const { announcer } = useServices()
  const text = useStore(announcer.state, (state) => state.text)
  return (
    <p className="visually-hidden" aria-live="polite">
      {text}
    </p>
  )
}

function Toasts() {
  const { toasts } = useServices()
  const { toasts: shown } = useStore(toasts.state)
  return <Toaster toasts={shown} onDismiss={toasts.dismiss} />
}
