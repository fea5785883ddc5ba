import { createStore } from 'zustand/vanilla'
import type { Event, Message } from '../api/protocol'

const MOST = 300

/** Messages that others point at, by reply or pin, where they are not loaded themselves. */
export function createQuotes(
  ask: (conversation: number, id: number) => Promise<{ messages: readonly Message[] }>,
) {
  /** null: there is no such message for this reader. */
  const state = createStore<{ quotes: ReadonlyMap<string, Message | null> }>(() => ({ quotes: new Map() }))
  const asked = new Set<string>()
  const name = (conversation: number, id: number) => `${conversation}.${id}`

  function put(conversation: number, id: number, message: Message | null) {
    const quotes = new Map(state.getState().quotes)
    quotes.set(name(conversation, id), message)
    const oldest = quotes.keys().next().value
    if (quotes.size > MOST && oldest !== undefined) quotes.delete(oldest)
    state.setState({ quotes })
  }

  return {
    state,
    name,
    need(conversation: number, id: number) {
      const key = name(conversation, id)
      if (asked.has(key) || state.getState().quotes.has(key)) return
      asked.add(key)
      ask(conversation, id)
        .then(
          ({ messages }) => {
            const last = messages.at(-1)
            put(conversation, id, last?.id === id ? last : null)
          },
          () => {},
        )
        .finally(() => asked.delete(key))
    },
    event(conversation: number, event: Event) {
      const id =
        event.kind === 'edited' ? event.message.id : event.kind === 'deleted' ? event.message : undefined
      if (id === undefined) return
      const old = state.getState().quotes.get(name(conversation, id))
      if (!old) return
      if (event.kind === 'edited') put(conversation, id, event.message)
      else put(conversation, id, { ...old, text: '', deleted: true })
    },
    reset: () => state.setState({ quotes: new Map() }),
  }
}

export type Quotes = ReturnType<typeof createQuotes>
