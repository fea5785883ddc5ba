import type { Conversation, Message } from '../../api/types'

export const conversationName = (entry: Conversation): string =>
  entry.title || entry.peer?.username || (entry.kind === 'group' ? 'Group' : 'Unknown person')

/** One line of a message; the row cuts it, this only keeps the cut cheap. */
export function preview(message: Message | null, ownId: number): string {
  if (!message) return 'No messages yet'
  const text = message.deleted ? 'Message deleted' : message.content.slice(0, 200).replace(/\s+/g, ' ')
  return message.sender_id === ownId ? `You: ${text}` : text
}
