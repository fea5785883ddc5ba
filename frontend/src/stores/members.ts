import { createStore } from 'zustand/vanilla'
import type { Member } from '../api/protocol'

/** More are not shown: a group of thousands is searched on the server. */
const MOST = 1_000

/** Who is in a group, as last asked. */
export function createMembers(
  ask: (conversation: number, after: number | null) => Promise<{ members: readonly Member[]; next?: number }>,
) {
  const state = createStore<{ members: Readonly<Record<number, readonly Member[]>> }>(() => ({ members: {} }))
  let generation = 0
  return {
    state,
    async load(conversation: number): Promise<void> {
      const mine = generation
      const found: Member[] = []
      let after: number | null = null
      do {
        const page: { members: readonly Member[]; next?: number } = await ask(conversation, after)
        found.push(...page.members.filter((member) => member.role !== undefined))
        after = page.next ?? null
      } while (after !== null && found.length < MOST)
      if (mine === generation)
        state.setState(({ members }) => ({ members: { ...members, [conversation]: found } }))
    },
    reset() {
      generation += 1
      state.setState({ members: {} })
    },
  }
}

export type Members = ReturnType<typeof createMembers>
