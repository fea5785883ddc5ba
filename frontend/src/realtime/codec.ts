import type { Message } from '../api/types'

/** Frames of the basic profile of `/ws`. */

export interface SendFrame {
  to: number | null
  conversation_id: number | null
  content: string
  ref: number
}

export interface ErrorFrame {
  type: 'error'
  code: string
  detail: string
  ref: number | null
}

export type ServerFrame = { type: 'message'; message: Message } | ErrorFrame

const isId = (value: unknown): value is number => Number.isSafeInteger(value)

/** Anything that is not understood is null: a newer server may send what this client does not know. */
export function decode(data: unknown): ServerFrame | null {
  if (typeof data !== 'string') return null
  let frame: Record<string, unknown>
  try {
    frame = JSON.parse(data)
  } catch {
    return null
  }
  if (typeof frame !== 'object' || frame === null) return null
  if (frame.type === 'error') {
    return {
      type: 'error',
      code: String(frame.code ?? 'internal'),
      detail: String(frame.detail ?? 'The message was refused.'),
      ref: isId(frame.ref) ? frame.ref : null,
    }
  }
  if ((frame.type ?? 'message') !== 'message') return null
  const { id, conversation_id, sender_id, content, timestamp } = frame
  if (!isId(id) || !isId(conversation_id) || !isId(sender_id)) return null
  if (typeof content !== 'string' || typeof timestamp !== 'string') return null
  return { type: 'message', message: { id, conversation_id, sender_id, content, timestamp } }
}

export const encode = (frame: SendFrame): string => JSON.stringify(frame)
