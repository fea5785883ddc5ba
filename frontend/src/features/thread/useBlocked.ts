import { useSyncExternalStore } from 'react'
import { useServices } from '../../stores/context'

export function useBlocked(user: number | null): boolean {
  const { chat } = useServices()
  return useSyncExternalStore(chat.userLog.onBlocked, () => user !== null && chat.userLog.blocked().has(user))
}
