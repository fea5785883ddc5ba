import { createStore } from 'zustand/vanilla'

export interface Toast {
  id: number
  text: string
}

const SHOWN_MS = 6_000
const MOST = 3

/** What went wrong with something that has no place of its own on screen. */
export function createToasts() {
  const state = createStore<{ toasts: readonly Toast[] }>(() => ({ toasts: [] }))
  let ids = 0
  const dismiss = (id: number) =>
    state.setState(({ toasts }) => ({ toasts: toasts.filter((toast) => toast.id !== id) }))
  return {
    state,
    dismiss,
    show(text: string) {
      ids += 1
      const id = ids
      state.setState(({ toasts }) => ({ toasts: [...toasts, { id, text }].slice(-MOST) }))
      setTimeout(() => dismiss(id), SHOWN_MS)
    },
  }
}

export type Toasts = ReturnType<typeof createToasts>
