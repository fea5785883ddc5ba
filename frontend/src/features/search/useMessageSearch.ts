import { useEffect, useState } from 'react'
import { useStore } from 'zustand'
import type { Message } from '../../api/protocol'
import { wordsOf } from '../../lib/highlight'
import { Refused } from '../../realtime/connection'
import { useServices } from '../../stores/context'

const DEBOUNCE_MS = 300
/** Pages that hold nothing one may see are passed over, so many at once. */
const EMPTY_PAGES = 5

export interface MessagesFound {
  /** The text that `found` answers. */
  answered: string | null
  found: readonly Message[]
  next: string | null
  error: string | null
}

const NOTHING: MessagesFound = { answered: null, found: [], next: null, error: null }

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Messages by words in them, in one conversation or in all; nothing where the server does not search. */
export function useMessageSearch(text: string, conversation: number | null) {
  const { connection } = useServices()
  const offered = useStore(connection.greeting, () => connection.offers('search'))
  const [result, setResult] = useState(NOTHING)
  const [loading, setLoading] = useState(false)
  const asks = offered && wordsOf(text).length > 0

  /** One page, or the first one after it that holds something; it waits where it is asked to. */
  async function page(text: string, before: string | null, isOver: () => boolean) {
    let next = before
    for (let pages = 0; !isOver(); ) {
      try {
        const ask = {
          text,
          ...(next !== null && { before: next }),
          ...(conversation !== null && { conversation }),
        }
        const found = await connection.ask('search', ask)
        next = found.next ?? null
        pages += 1
        if (found.messages.length > 0 || next === null || pages === EMPTY_PAGES)
          return { found: found.messages, next }
      } catch (error) {
        if (!(error instanceof Refused) || error.retryAfterMs === null) throw error
        await pause(error.retryAfterMs)
      }
    }
    return { found: [], next }
  }

  const said = (error: unknown) => (error instanceof Error ? error.message : String(error))

  // biome-ignore lint/correctness/useExhaustiveDependencies: `page` follows `conversation`
  useEffect(() => {
    setLoading(false)
    if (!asks) {
      setResult(NOTHING)
      return
    }
    let over = false
    const timer = setTimeout(() => {
      page(text, null, () => over).then(
        ({ found, next }) => !over && setResult({ answered: text, found, next, error: null }),
        (error) => !over && setResult({ ...NOTHING, answered: text, error: said(error) }),
      )
    }, DEBOUNCE_MS)
    return () => {
      over = true
      clearTimeout(timer)
    }
  }, [text, conversation, asks])

  async function more() {
    const before = result.next
    if (before === null || loading) return
    setLoading(true)
    const isHere = (now: MessagesFound) => now.next === before && now.answered === result.answered
    try {
      const { found, next } = await page(result.answered ?? '', before, () => false)
      setResult((now) => (isHere(now) ? { ...now, found: [...now.found, ...found], next, error: null } : now))
    } catch (error) {
      setResult((now) => (isHere(now) ? { ...now, error: said(error) } : now))
    } finally {
      setLoading(false)
    }
  }

  return { ...result, offered, pending: asks && result.answered !== text, loading, more }
}
