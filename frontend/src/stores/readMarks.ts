/**
 * How far this browser's user has read, by conversation. The documented API cannot move the server's own
 * cursor, so without this every badge would be back after a reload or the next log in. Numbers only, by user.
 */
const MAX_MARKS = 500

export function createReadMarks(storage: Pick<Storage, 'getItem' | 'setItem'>) {
  let key: string | null = null
  let marks = new Map<number, number>()

  function load() {
    try {
      const entries: unknown = JSON.parse((key && storage.getItem(key)) || '[]')
      if (Array.isArray(entries)) marks = new Map(entries)
    } catch {
      marks = new Map()
    }
  }

  return {
    open(userId: number) {
      key = `chat.read.${userId}`
      marks = new Map()
      load()
    },
    get: (conversationId: number): number => marks.get(conversationId) ?? 0,
    /** True when the mark moved. */
    advance(conversationId: number, messageId: number): boolean {
      if (messageId <= (marks.get(conversationId) ?? 0)) return false
      load() // Another tab may have read something else.
      marks.delete(conversationId)
      marks.set(conversationId, messageId)
      const entries = [...marks].slice(-MAX_MARKS)
      try {
        if (key) storage.setItem(key, JSON.stringify(entries))
      } catch {
        // Full or refused: the marks live as long as the page.
      }
      return true
    },
    /** Another tab wrote. */
    reloadIf(changed: string | null): boolean {
      if (!key || changed !== key) return false
      load()
      return true
    },
  }
}

export type ReadMarks = ReturnType<typeof createReadMarks>
