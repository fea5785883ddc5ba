import { useEffect } from 'react'
import { useServices } from '../../stores/context'

/** Read is what was in front of somebody's eyes: the thread's end, in a visible window that has the focus. */
export function useViewing(id: number | null, atEnd: boolean) {
  const { chat } = useServices()
  useEffect(() => {
    const tell = () => {
      const seen = atEnd && document.visibilityState === 'visible' && document.hasFocus()
      chat.setViewing(seen ? id : null)
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
  }, [chat, id, atEnd])
}
