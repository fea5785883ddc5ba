import { useEffect, useState } from 'react'
import type { Message } from '../../api/protocol'
import { useServices } from '../../stores/context'

const DEBOUNCE_MS = 250

export interface MessagesFound {
  answered: string | null
  found: readonly Message[]
  next: string | null
  error: string | null
}

const NOTHING: MessagesFound = { answered: null, found: [], next: null, error: null }

/** Messages by words in them, in one conversation or in all; nothing where the server does not search. */
export function useMessageSearch(text: string, conversation: number | null) {
  const { connection } = useServices()
  const [result, setResult] = useState(NOTHING)
  const scope = conversation === null ? {} : { conversation }

  // biome-ignore lint/correctness/useExhaustiveDependencies: `scope` follows `conversation`
  useEffect(() => {
    if (!text || !connection.offers('search')) {
      setResult(NOTHING)
      return
    }
    let over = false
    const timer = setTimeout(() => {
      connection.ask('search', { text, ...scope }).then(
        ({ messages, next }) =>
          !over && setResult({ answered: text, found: messages, next: next ?? null, error: null }),
        (error) => {
          const said = error instanceof Error ? error.message : String(error)
          if (!over) setResult({ ...NOTHING, answered: text, error: said })
        },
      )
    }, DEBOUNCE_MS)
    return () => {
      over = true
      clearTimeout(timer)
    }
  }, [text, conversation, connection])

  async function more() {
    if (result.next === null) return
    const before = result.next
    const { messages, next } = await connection.ask('search', { text, before, ...scope })
    setResult((now) =>
      now.next === before ? { ...now, found: [...now.found, ...messages], next: next ?? null } : now,
    )
  }

  return { ...result, more }
}
