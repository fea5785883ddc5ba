import type { Entry, Message } from '../api/protocol'
import { t } from '../lib/i18n'
import { plain } from '../lib/markdown'

export const entryName = (entry: Entry, names: Readonly<Record<number, string>>): string => {
  const { conversation, peer } = entry
  if (conversation.title) return conversation.title
  if (conversation.kind === 'group') return t('Group')
  return (peer && (names[peer.id] ?? peer.name)) || t('Unknown person')
}

/** Whose colour and letter stand for a conversation. */
export const avatarId = (entry: Entry): number => entry.peer?.id ?? entry.conversation.id

/** One line of a message; the row cuts it, this only keeps the cut cheap. */
export function preview(message: Message | undefined, me: number, sender: string | null): string {
  if (!message) return t('No messages yet')
  const text = message.deleted ? t('Message deleted') : plain((message.text ?? '').slice(0, 300))
  if (message.sender === me) return `${t('You')}: ${text}`
  return sender === null ? text : `${sender}: ${text}`
}
