/** Unsent text by thread, for as long as the page lives. Read when a composer appears, so not observable. */
export function createDrafts() {
  const texts = new Map<string, string>()
  return {
    get: (key: string) => texts.get(key) ?? '',
    set(key: string, text: string) {
      if (text) texts.set(key, text)
      else texts.delete(key)
    },
    reset: () => texts.clear(),
  }
}

export type Drafts = ReturnType<typeof createDrafts>
