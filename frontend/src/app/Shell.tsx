import { LogOut, MessagesSquare } from 'lucide-react'
import { useEffect, useState } from 'react'
import { Redirect, useLocation, useRoute } from 'wouter'
import { useStore } from 'zustand'
import { ConnectionBanner } from '../features/connection/ConnectionBanner'
import { ConversationList } from '../features/conversations/ConversationList'
import { PeopleSearch } from '../features/search/PeopleSearch'
import { useMe, useServices } from '../stores/context'
import { Avatar } from '../ui/Avatar'
import { IconButton } from '../ui/Button'
import { ConversationPane, NewChatPane } from './ChatPane'
import styles from './Shell.module.css'

/** `/c/12` and `/u/12`; anything else is the list alone. */
function usePlace(): { conversationId: number | null; userId: number | null; lost: boolean } {
  const [inConversation, conversation] = useRoute('/c/:id')
  const [withUser, user] = useRoute('/u/:id')
  const [path] = useLocation()
  const id = (text: string | undefined) =>
    text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : null
  const conversationId = inConversation ? id(conversation.id) : null
  const userId = withUser ? id(user.id) : null
  return { conversationId, userId, lost: conversationId === null && userId === null && path !== '/' }
}

export function Shell() {
  const { conversationId, userId, lost } = usePlace()
  const started = useDirectWith(userId)
  if (lost) return <Redirect to="/" replace />
  if (started !== null) return <Redirect to={`/c/${started}`} replace state={history.state} />

  const inChat = conversationId !== null || userId !== null
  return (
    <main className={styles.shell} data-chat={inChat}>
      <h1 className="visually-hidden">Chat</h1>
      <TitleBadge />
      <Announcer />
      <ConnectionBanner />
      <section className={styles.side} aria-label="Chats">
        <Account />
        <PeopleSearch>
          <ConversationList selected={conversationId} />
        </PeopleSearch>
      </section>
      <section className={styles.main} aria-label="Conversation">
        {conversationId !== null ? (
          <ConversationPane key={`c${conversationId}`} id={conversationId} />
        ) : userId !== null ? (
          <NewChatPane key={`u${userId}`} userId={userId} />
        ) : (
          <div className={styles.blank}>
            <MessagesSquare size={36} strokeWidth={1.5} aria-hidden />
            <p>Choose a conversation, or find somebody to talk to.</p>
          </div>
        )}
      </section>
    </main>
  )
}

/** A chat with a person moves to its conversation as soon as there is one. */
function useDirectWith(userId: number | null): number | null {
  const { conversations } = useServices()
  const id = useStore(conversations.state, () =>
    userId === null ? undefined : conversations.withPeer(userId)?.id,
  )
  return id ?? null
}

function Account() {
  const { account } = useServices()
  const me = useMe()
  const [error, setError] = useState<string | null>(null)

  async function logout() {
    setError(null)
    try {
      await account.logout()
    } catch (cause) {
      setError(`You are still logged in. ${cause instanceof Error ? cause.message : ''}`)
    }
  }

  return (
    <header className={styles.account}>
      <Avatar id={me.id} name={me.username} small />
      <p className={`${styles.username} one-line`} dir="auto">
        {me.username}
      </p>
      <IconButton label="Log out" onClick={logout}>
        <LogOut size={18} />
      </IconButton>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
    </header>
  )
}

function TitleBadge() {
  const { conversations } = useServices()
  const unread = useStore(conversations.state, ({ list }) =>
    list.reduce((sum, entry) => sum + entry.unread, 0),
  )
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Chat` : 'Chat'
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
