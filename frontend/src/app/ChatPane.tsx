import { useMemo } from 'react'
import { useLocation } from 'wouter'
import { useHistoryState } from 'wouter/use-browser-location'
import { useStore } from 'zustand'
import { Composer } from '../features/composer/Composer'
import { conversationName } from '../features/conversations/describe'
import { MessageLog } from '../features/thread/MessageLog'
import { ThreadHeader } from '../features/thread/ThreadHeader'
import { useServices } from '../stores/context'
import type { Target } from '../stores/outbox'

interface PlaceState {
  /** The list is one step back in the history. */
  fromList?: boolean
  username?: string
}

export function ConversationPane({ id }: { id: number }) {
  const { conversations } = useServices()
  const entry = useStore(conversations.state, ({ list }) =>
    list.find((conversation) => conversation.id === id),
  )
  const target = useMemo(() => ({ conversationId: id }), [id])
  return (
    <Pane
      target={target}
      conversationId={entry ? id : null}
      avatarId={entry?.peer?.id ?? id}
      name={entry ? conversationName(entry) : 'Conversation'}
      isGroup={entry?.kind === 'group'}
    />
  )
}

/** Nothing exists on the server until the first message. */
export function NewChatPane({ userId }: { userId: number }) {
  const { people } = useServices()
  const state = useHistoryState<PlaceState | null>()
  const known = useStore(people.state, ({ names }) => names[userId])
  const target = useMemo(() => ({ userId }), [userId])
  const name = known ?? state?.username ?? 'New conversation'
  return <Pane target={target} conversationId={null} avatarId={userId} name={name} isGroup={false} />
}

interface PaneProps {
  target: Target
  conversationId: number | null
  avatarId: number
  name: string
  isGroup: boolean
}

function Pane({ target, conversationId, avatarId, name, isGroup }: PaneProps) {
  const { chat, messages } = useServices()
  const missing = useStore(
    messages.state,
    ({ threads }) => 'conversationId' in target && threads[target.conversationId]?.status === 'missing',
  )
  const [, navigate] = useLocation()
  const state = useHistoryState<PlaceState | null>()

  function back() {
    // The same step as the browser's own button, so the history does not grow with every visit.
    if (state?.fromList) history.back()
    else navigate('/', { replace: true })
  }

  return (
    <>
      <ThreadHeader
        conversationId={conversationId}
        avatarId={avatarId}
        name={name}
        onBack={back}
        onDeleted={() => navigate('/', { replace: true })}
      />
      <MessageLog target={target} name={name} isGroup={isGroup} />
      {!missing && (
        <Composer
          draftKey={'userId' in target ? `u${target.userId}` : `c${target.conversationId}`}
          onSend={(content) => chat.send(target, content)}
        />
      )}
    </>
  )
}
