import { createStore } from 'zustand/vanilla'

/** English is the key of every text; another language is a table, loaded when it is chosen. */

export type Language = 'en' | 'ar'
type Table = Readonly<Record<string, string>>

const LOADERS: Record<Exclude<Language, 'en'>, () => Promise<{ TABLE: Table }>> = {
  ar: () => import('./i18n.ar'),
}

export const LANGUAGES: readonly { id: Language; name: string; dir: 'ltr' | 'rtl' }[] = [
  { id: 'en', name: 'English', dir: 'ltr' },
  { id: 'ar', name: 'العربية', dir: 'rtl' },
]

/** Screens are drawn anew when it changes. */
export const language = createStore<{ id: Language; table: Table }>(() => ({ id: 'en', table: {} }))

export async function setLanguage(id: Language): Promise<void> {
  const table = id === 'en' ? {} : (await LOADERS[id]()).TABLE
  language.setState({ id, table })
  document.documentElement.lang = id
  document.documentElement.dir = LANGUAGES.find((entry) => entry.id === id)?.dir ?? 'ltr'
}

/** `{name}` in a text stands for a value. */
export function t(text: string, values: Readonly<Record<string, string | number>> = {}): string {
  const said = language.getState().table[text] ?? text
  return said.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole))
}

/** “a, b and c” */
export const listed = (names: readonly string[]): string =>
  new Intl.ListFormat(language.getState().id, { type: 'conjunction' }).format(names)

export const membersText = (count: number): string =>
  count === 1 ? t('1 member') : t('{count} members', { count })
