import { createStore } from 'zustand/vanilla'
import { t } from '../lib/i18n'

const COALESCE_MS = 1_000

/** What a screen reader is told about new messages: one sentence for however many come together. */
export function createAnnouncer() {
  const state = createStore<{ text: string }>(() => ({ text: '' }))
  let waiting: string[] = []
  let timer: ReturnType<typeof setTimeout> | undefined

  function speak() {
    timer = undefined
    const text =
      waiting.length === 1 ? (waiting[0] as string) : t('{count} new messages', { count: waiting.length })
    waiting = []
    // The same sentence twice is no change to the region, so it would stay silent.
    state.setState({ text: text === state.getState().text ? `${text}\u00a0` : text })
  }

  return {
    state,
    newMessage(from: string, content: string) {
      const short = content.length > 120 ? `${content.slice(0, 120)}…` : content
      waiting.push(t('New message from {name}: {text}', { name: from, text: short }))
      if (timer === undefined) timer = setTimeout(speak, COALESCE_MS)
    },
  }
}

export type Announcer = ReturnType<typeof createAnnouncer>
