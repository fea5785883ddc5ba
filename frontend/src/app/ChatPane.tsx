import { lazy, type ReactNode, Suspense, useCallback, useEffect, useMemo, useState } from 'react'
import { useLocation } from 'wouter'
import { useHistoryState } from 'wouter/use-browser-location'
import { useStore } from 'zustand'
import type { Entry } from '../api/protocol'
import { Composer, type Editing } from '../features/composer/Composer'
import { MessageLog } from '../features/thread/MessageLog'
import type { Rights } from '../features/thread/MessageMenu'
import { PinnedBar } from '../features/thread/PinnedBar'
import { Quote } from '../features/thread/Quote'
import { ThreadHeader } from '../features/thread/ThreadHeader'
import { useBlocked } from '../features/thread/useBlocked'
import { t } from '../lib/i18n'
import { isConflict } from '../stores/actions'
import { useMe, useServices } from '../stores/context'
import { avatarId, entryName } from '../stores/describe'
import { type ThreadMessage, tailOf } from '../stores/ranges'
import styles from './ChatPane.module.css'

const InfoDialog = lazy(() => import('../features/group/InfoDialog').then((m) => ({ default: m.InfoDialog })))

interface PlaceState {
  /** The list is one step back in the history. */
  fromList?: boolean
  username?: string
}

interface Goal {
  id: number
  wish: number
}

interface ConversationProps {
  id: number
  goal: Goal | null
  onSearch(): void
}

type Props = Omit<ConversationProps, 'id'> & { id: number | null; userId: number | null }

/** A conversation, or one to begin with a person. */
export function ChatPane({ id, userId, ...rest }: Props) {
  if (id !== null) return <ConversationPane id={id} {...rest} />
  return userId === null ? null : <NewChatPane userId={userId} />
}

function ConversationPane({ id, goal, onSearch }: ConversationProps) {
  const { conversations, people } = useServices()
  const entry = useStore(conversations.state, ({ list }) =>
    list.find(({ conversation }) => conversation.id === id),
  )
  const name = useStore(people.state, ({ names }) => (entry ? entryName(entry, names) : t('Conversation')))
  return (
    <Pane
      entry={entry ?? null}
      conversation={id}
      peer={entry?.peer?.id ?? null}
      avatar={entry ? avatarId(entry) : id}
      name={name}
      goal={goal}
      onSearch={onSearch}
    />
  )
}

/** Nothing exists on the server until the first message. */
function NewChatPane({ userId }: { userId: number }) {
  const { people } = useServices()
  const state = useHistoryState<PlaceState | null>()
  const known = useStore(people.state, ({ names }) => names[userId])
  const name = known ?? state?.username ?? t('New conversation')
  return (
    <Pane
      entry={null}
      conversation={null}
      peer={userId}
      avatar={userId}
      name={name}
      goal={null}
      onSearch={() => {}}
    />
  )
}

interface PaneProps {
  entry: Entry | null
  conversation: number | null
  peer: number | null
  avatar: number
  name: string
  goal: Goal | null
  onSearch(): void
}

const NOTHING: readonly never[] = []

function Pane({ entry, conversation, peer, avatar, name, goal, onSearch }: PaneProps) {
  const { actions, connection, drafts, outbox, threads, members, people } = useServices()
  const me = useMe()
  const [, navigate] = useLocation()
  const state = useHistoryState<PlaceState | null>()
  const draftKey = conversation === null ? `u${peer}` : `c${conversation}`
  const replyTo = useStore(drafts.state, (now) => now.drafts.get(draftKey)?.replyTo ?? null)
  const [editing, setEditing] = useState<(Editing & { revision: number }) | null>(null)
  const [clash, setClash] = useState<{ mine: string; error: string; theirs: ThreadMessage | null } | null>(
    null,
  )
  const [wanted, setWanted] = useState<Goal | null>(null)
  const [info, setInfo] = useState(false)
  const limit = useStore(connection.greeting, ({ hello }) => hello?.limits.text ?? null)
  const missing = useStore(
    threads.state,
    (now) => conversation !== null && now.threads[conversation]?.status === 'missing',
  )
  const blocked = useBlocked(peer)
  const isGroup = entry?.conversation.kind === 'group'
  const role = entry?.me.role
  const left = entry !== null && role === undefined
  const rights: Rights = useMemo(() => {
    const governs = role === 'owner' || role === 'admin'
    return { write: !left, pin: !left && (!isGroup || governs), deleteOthers: isGroup && governs }
  }, [isGroup, left, role])

  const list = useStore(members.state, (now) =>
    conversation === null ? undefined : now.members[conversation],
  )
  useEffect(() => {
    // Also for how far the others have read.
    if (conversation !== null && !left) members.load(conversation).catch(() => {})
  }, [conversation, left, members])
  useEffect(() => {
    if (isGroup) for (const member of list ?? []) people.ask(member.user)
  }, [isGroup, list, people])
  const names = useStore(people.state, (now) => now.names)
  const named = useMemo(
    () =>
      isGroup
        ? (list ?? []).flatMap(({ user }) => {
            const known = names[user]
            return user === me.id || known === undefined ? [] : [{ id: user, name: known }]
          })
        : NOTHING,
    [isGroup, list, names, me.id],
  )

  const onReply = useCallback(
    (message: ThreadMessage) => {
      setEditing(null)
      drafts.set(draftKey, { text: drafts.get(draftKey)?.text ?? '', replyTo: message.id })
    },
    [drafts, draftKey],
  )
  const onEdit = useCallback((message: ThreadMessage) => {
    setClash(null)
    setEditing({ id: message.id, text: message.text ?? '', revision: message.revision })
  }, [])

  function back() {
    // The same step as the browser's own button, so the history does not grow with every visit.
    if (state?.fromList) history.back()
    else navigate('/', { replace: true })
  }

  function cancel() {
    if (editing) setEditing(null)
    else drafts.set(draftKey, { text: drafts.get(draftKey)?.text ?? '', replyTo: null })
    setClash(null)
  }

  function send(text: string, mentions: number[]) {
    const to = conversation !== null ? { conversation } : { user: peer ?? 0 }
    outbox.add(to, text, replyTo, mentions)
    if (conversation !== null) actions.rested(conversation)
  }

  async function save(text: string, anyRevision = false) {
    if (!editing || conversation === null) return
    const { id: message, revision } = editing
    try {
      await actions.write('edit', { conversation, message, text, ...(!anyRevision && { revision }) })
      setEditing(null)
      setClash(null)
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error)
      const theirs = isConflict(error) ? (find(message) ?? null) : null
      setClash({ mine: text, error: said, theirs })
    }
  }

  const find = (id: number): ThreadMessage | undefined =>
    (conversation === null ? undefined : threads.get(conversation))?.ranges
      .flatMap((range) => range.items)
      .find((message) => message.id === id)

  function editLast() {
    const tail = conversation === null ? undefined : tailOf(threads.get(conversation)?.ranges ?? [])
    const last = tail?.items.findLast((message) => message.sender === me.id && !message.deleted)
    if (last && rights.write) onEdit(last)
  }

  const pins = entry?.conversation.pins ?? NOTHING
  let bottom: ReactNode = null
  if (left) bottom = <p className={styles.closed}>{t('You are no longer a member of this group.')}</p>
  else if (blocked && peer !== null)
    bottom = (
      <p className={styles.closed}>
        {t('You have blocked {name}.', { name })}{' '}
        <button
          type="button"
          className={styles.link}
          onClick={() => void actions.tried('block', { user: peer, on: false })}
        >
          {t('Unblock')}
        </button>
      </p>
    )
  else if (!missing)
    bottom = (
      <Composer
        key={editing ? `e${editing.id}.${editing.revision}` : draftKey}
        draftKey={draftKey}
        people={named}
        quote={
          replyTo !== null && !editing ? (
            <Quote
              conversation={conversation}
              id={replyTo}
              onPick={(id) => setWanted({ id, wish: Math.random() })}
            />
          ) : null
        }
        editing={editing}
        trouble={
          clash && (
            <Clash
              clash={clash}
              onMine={() => save(clash.mine, true)}
              onTheirs={() => {
                setEditing(null)
                setClash(null)
              }}
            />
          )
        }
        maxBytes={limit}
        onSend={send}
        onSave={save}
        onCancel={cancel}
        onEditLast={editLast}
        onTyping={() => conversation !== null && actions.typing(conversation)}
      />
    )

  return (
    <>
      <ThreadHeader
        entry={entry}
        peer={peer}
        avatarId={avatar}
        name={name}
        onBack={back}
        onInfo={() => setInfo(true)}
        onSearch={onSearch}
        onGone={() => navigate('/', { replace: true })}
      />
      {conversation !== null && pins.length > 0 && (
        <PinnedBar
          conversation={conversation}
          pins={pins}
          onShow={(id) => setWanted({ id, wish: Math.random() })}
        />
      )}
      <MessageLog
        conversation={conversation}
        peer={peer}
        name={name}
        isGroup={isGroup}
        rights={rights}
        goal={wanted ?? goal}
        onReply={onReply}
        onEdit={onEdit}
      />
      {bottom}
      {info && entry && (
        <Suspense>
          <InfoDialog entry={entry} name={name} avatarId={avatar} onClose={() => setInfo(false)} />
        </Suspense>
      )}
    </>
  )
}

interface ClashProps {
  clash: { error: string; theirs: ThreadMessage | null }
  onMine(): void
  onTheirs(): void
}

/** Another device changed the message first: nothing is overwritten without being seen. */
function Clash({ clash, onMine, onTheirs }: ClashProps) {
  return (
    <div className={styles.clash} role="alert">
      {clash.theirs ? (
        <>
          <p>{t('This message was changed on another device meanwhile. It says now:')}</p>
          <blockquote className={styles.theirs} dir="auto">
            {clash.theirs.text ?? t('Message deleted')}
          </blockquote>
          <p className={styles.choice}>
            <button type="button" className={styles.link} onClick={onMine}>
              {t('Save mine')}
            </button>
            <button type="button" className={styles.link} onClick={onTheirs}>
              {t('Keep theirs')}
            </button>
          </p>
        </>
      ) : (
        <p>{clash.error}</p>
      )}
    </div>
  )
}
