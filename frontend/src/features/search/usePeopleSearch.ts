import { useEffect, useState } from 'react'
import type { User } from '../../api/protocol'
import { useServices } from '../../stores/context'

const DEBOUNCE_MS = 200

export interface PeopleFound {
  /** The text that `found` answers. */
  answered: string | null
  found: readonly User[]
  error: string | null
}

const NOTHING: PeopleFound = { answered: null, found: [], error: null }

/** Asks when the typing rests; an answer to older text is never shown over a newer one. */
export function usePeopleSearch(text: string): PeopleFound {
  const { connection, people } = useServices()
  const [result, setResult] = useState(NOTHING)

  useEffect(() => {
    if (!text) {
      setResult(NOTHING)
      return
    }
    let over = false
    const timer = setTimeout(() => {
      connection.ask('users', { name: text }).then(
        ({ users }) => {
          people.learn(users)
          if (!over) setResult({ answered: text, found: users, error: null })
        },
        (error) => {
          const said = error instanceof Error ? error.message : String(error)
          if (!over) setResult({ answered: text, found: [], error: said })
        },
      )
    }, DEBOUNCE_MS)
    return () => {
      over = true
      clearTimeout(timer)
    }
  }, [text, connection, people])

  return result
}
