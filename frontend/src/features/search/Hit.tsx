import { useEffect } from 'react'
import { useStore } from 'zustand'
import type { Message } from '../../api/protocol'
import { snippet } from '../../lib/highlight'
import { t } from '../../lib/i18n'
import { plain } from '../../lib/markdown'
import { listTime } from '../../lib/time'
import { useMe, useServices } from '../../stores/context'
import styles from './SearchBox.module.css'
import { useConversationName } from './useConversationName'

interface Props {
  message: Message
  /** What was searched for. */
  text: string
  /** With the conversation that it is in. */
  named: boolean
  onPick(message: Message): void
}

/** A message that was found, with what was searched for marked in it. */
export function Hit({ message, text, named, onPick }: Props) {
  const { people, chat, conversations } = useServices()
  const me = useMe()
  const sender = message.sender ?? 0
  const known = useStore(people.state, ({ names }) => names[sender])
  useEffect(() => {
    if (known === undefined && sender) people.ask(sender)
  }, [known, sender, people])
  // An old conversation may lie beyond what the list has loaded.
  useEffect(() => {
    if (named && !conversations.get(message.conversation)) void chat.inbox.fetch(message.conversation)
  }, [named, message.conversation, conversations, chat])
  const where = useConversationName(message.conversation)
  const name = sender === me.id ? t('You') : (known ?? t('Unknown person'))
  const pieces = snippet(plain(message.text ?? ''), text)
  return (
    <li>
      <button type="button" className={styles.hit} onClick={() => onPick(message)}>
        <span className={styles.line}>
          <span className={`${styles.name} one-line`} dir="auto">
            {named ? where : name}
          </span>
          <time className={styles.time} dateTime={message.at}>
            {listTime(message.at)}
          </time>
        </span>
        <span className={styles.snippet} dir="auto">
          {named && name !== where && `${name}: `}
          {pieces.map((piece, place) =>
            // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a text have no other name
            piece.hit ? <mark key={place}>{piece.text}</mark> : piece.text,
          )}
        </span>
      </button>
    </li>
  )
}
