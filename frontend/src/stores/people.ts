import { createStore } from 'zustand/vanilla'
import type { Api } from '../api/client'
import type { User } from '../api/types'

export interface PeopleState {
  names: Readonly<Record<number, string>>
}

/** Names by user id: from lists and searches, and asked for one by one where nobody told. */
export function createPeople(api: Pick<Api, 'user'>) {
  const state = createStore<PeopleState>(() => ({ names: {} }))
  const asked = new Set<number>()

  function learn(users: readonly User[]) {
    const { names } = state.getState()
    const fresh = users.filter((user) => names[user.id] !== user.username)
    if (fresh.length === 0) return
    state.setState({
      names: { ...names, ...Object.fromEntries(fresh.map((user) => [user.id, user.username])) },
    })
  }

  return {
    state,
    learn,
    ask(id: number) {
      if (asked.has(id) || state.getState().names[id] !== undefined) return
      asked.add(id)
      // An unknown name is no reason to trouble anybody; the next screen may ask again.
      api.user(id).then(
        (user) => learn([user]),
        () => setTimeout(() => asked.delete(id), 30_000),
      )
    },
    reset() {
      asked.clear()
      state.setState({ names: {} })
    },
  }
}

export type People = ReturnType<typeof createPeople>
