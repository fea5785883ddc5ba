import { useEffect, useState } from 'react'
import type { User } from '../../api/types'
import { useServices } from '../../stores/context'

const DEBOUNCE_MS = 200

export interface PeopleSearch {
  /** The text that `found` answers. */
  answered: string | null
  found: readonly User[]
  error: string | null
}

const NOTHING: PeopleSearch = { answered: null, found: [], error: null }

/** Asks when the typing rests; an answer to older text is never shown over a newer one. */
export function usePeopleSearch(text: string): PeopleSearch {
  const { api, people } = useServices()
  const [result, setResult] = useState(NOTHING)

  useEffect(() => {
    if (!text) {
      setResult(NOTHING)
      return
    }
    const abort = new AbortController()
    const timer = setTimeout(async () => {
      try {
        const found = await api.searchUsers(text, abort.signal)
        people.learn(found)
        setResult({ answered: text, found, error: null })
      } catch (error) {
        if (abort.signal.aborted) return
        setResult({
          answered: text,
          found: [],
          error: error instanceof Error ? error.message : String(error),
        })
      }
    }, DEBOUNCE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [text, api, people])

  return result
}
