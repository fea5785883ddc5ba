import { useEffect } from 'react'
import { useServices } from '../../stores/context'

export const isLooking = () => document.visibilityState === 'visible' && document.hasFocus()

/**
 * Read is what was in front of somebody's eyes, in a visible window that has the focus: all of the thread at its end,
 * and before that what `look` finds.
 */
export function useViewing(id: number | null, atEnd: boolean, look: () => void) {
  const { chat } = useServices()
  useEffect(() => {
    const tell = () => {
      chat.setViewing(atEnd && isLooking() ? id : null)
      if (!atEnd) look()
    }
    tell()
    addEventListener('focus', tell)
    addEventListener('blur', tell)
    document.addEventListener('visibilitychange', tell)
    return () => {
      removeEventListener('focus', tell)
      removeEventListener('blur', tell)
      document.removeEventListener('visibilitychange', tell)
      chat.setViewing(null)
    }
  }, [chat, id, atEnd, look])
}
