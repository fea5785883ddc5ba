import { createStore } from 'zustand/vanilla'
import type { Draft, Local } from '../storage/local'

const SAVE_MS = 300

/** Unsent text by thread, on the device as soon as the typing rests. */
export function createDrafts() {
  const state = createStore<{ drafts: ReadonlyMap<string, Draft> }>(() => ({ drafts: new Map() }))
  const dirty = new Set<string>()
  let local: Local | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  function save() {
    clearTimeout(timer)
    timer = undefined
    const { drafts } = state.getState()
    for (const key of dirty) void local?.putDraft(key, drafts.get(key) ?? null)
    dirty.clear()
  }

  return {
    state,
    get: (key: string): Draft | undefined => state.getState().drafts.get(key),
    set(key: string, draft: Draft | null) {
      const drafts = new Map(state.getState().drafts)
      if (draft && (draft.text.trim() || draft.replyTo !== null)) drafts.set(key, draft)
      else drafts.delete(key)
      state.setState({ drafts })
      dirty.add(key)
      // What was sent goes at once: later it might take away what another tab has written since.
      if (drafts.has(key)) timer ??= setTimeout(save, SAVE_MS)
      else save()
    },
    /** The thread is known by another name now. What is written there already stays. */
    move(from: string, to: string) {
      const { drafts } = state.getState()
      const draft = drafts.get(from)
      if (!draft) return
      if (!drafts.get(to)?.text.trim()) this.set(to, draft)
      this.set(from, null)
    },
    /** Before the page goes. */
    save,
    async begin(of: Local) {
      local = of
      const kept = await of.drafts()
      // What was typed meanwhile is newer.
      if (local === of) state.setState({ drafts: new Map([...kept, ...state.getState().drafts]) })
    },
    end() {
      clearTimeout(timer)
      timer = undefined
      local = null
      dirty.clear()
      state.setState({ drafts: new Map() })
    },
  }
}

export type Drafts = ReturnType<typeof createDrafts>
