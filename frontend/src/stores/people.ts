import { createStore } from 'zustand/vanilla'
import type { User } from '../api/protocol'

export interface PeopleState {
  names: Readonly<Record<number, string>>
}

const AGAIN_MS = 30_000

/** Names by user id: from lists and searches, and asked for one by one where nobody told. */
export function createPeople(ask: (id: number) => Promise<User>) {
  const state = createStore<PeopleState>(() => ({ names: {} }))
  const asked = new Map<number, Promise<void>>()

  function learn(users: readonly Pick<User, 'id' | 'name'>[]) {
    const { names } = state.getState()
    const fresh = users.filter((user) => names[user.id] !== user.name)
    if (fresh.length === 0) return
    state.setState({ names: { ...names, ...Object.fromEntries(fresh.map((user) => [user.id, user.name])) } })
  }

  return {
    state,
    learn,
    name: (id: number): string | undefined => state.getState().names[id],
    /** Resolves when the name is known, or is not told. */
    async ask(id: number): Promise<void> {
      if (state.getState().names[id] !== undefined) return
      const under = asked.get(id)
      if (under) return under
      // An unknown name is no reason to trouble anybody; the next screen may ask again.
      const run = ask(id).then(
        (user) => learn([user]),
        () => void setTimeout(() => asked.delete(id), AGAIN_MS),
      )
      asked.set(id, run)
      return run
    },
    /** Somebody may have another name now. */
    forget: (id: number) => asked.delete(id),
    reset() {
      asked.clear()
      state.setState({ names: {} })
    },
  }
}

export type People = ReturnType<typeof createPeople>
