import { createStore } from 'zustand/vanilla'
import { type Language, setLanguage } from '../lib/i18n'

export type Theme = 'system' | 'light' | 'dark'

export interface Preferences {
  theme: Theme
  language: Language
  notify: boolean
}

const KEY = 'chat.preferences'
const DEFAULTS: Preferences = { theme: 'system', language: 'en', notify: false }

const oneOf = <T>(value: unknown, of: readonly T[], otherwise: T): T =>
  of.includes(value as T) ? (value as T) : otherwise

/** How this browser's user likes it. Nothing here is secret. */
export function createPreferences(storage: Pick<Storage, 'getItem' | 'setItem'>) {
  function read(): Preferences {
    try {
      const kept = JSON.parse(storage.getItem(KEY) ?? '{}')
      return {
        theme: oneOf<Theme>(kept.theme, ['system', 'light', 'dark'], DEFAULTS.theme),
        language: oneOf<Language>(kept.language, ['en', 'ar'], DEFAULTS.language),
        notify: kept.notify === true,
      }
    } catch {
      return DEFAULTS
    }
  }
  const state = createStore<Preferences>(read)

  function apply({ theme, language }: Preferences) {
    if (theme === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    void setLanguage(language)
  }

  return {
    state,
    begin() {
      apply(state.getState())
      addEventListener('storage', (event) => {
        if (event.key !== KEY) return
        state.setState(read())
        apply(state.getState())
      })
    },
    set(change: Partial<Preferences>) {
      state.setState(change)
      apply(state.getState())
      try {
        storage.setItem(KEY, JSON.stringify(state.getState()))
      } catch {
        // Full or refused: it holds as long as the page.
      }
    },
  }
}

export type PreferencesStore = ReturnType<typeof createPreferences>
