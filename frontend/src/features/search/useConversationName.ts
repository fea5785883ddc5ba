import { useStore } from 'zustand'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { entryName } from '../../stores/describe'

export function useConversationName(id: number): string {
  const { conversations, people } = useServices()
  const entry = useStore(conversations.state, ({ list }) =>
    list.find(({ conversation }) => conversation.id === id),
  )
  return useStore(people.state, ({ names }) => (entry ? entryName(entry, names) : t('Conversation')))
}
