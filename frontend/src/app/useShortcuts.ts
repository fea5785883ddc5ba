import { useEffect } from 'react'
import { useLocation } from 'wouter'
import { useServices } from '../stores/context'
import type { Overlay } from './Shell'

/** From the list to the messages to the text field, and round. */
const STOPS = ['#search', '#log', 'textarea']

function nextStop(backwards: boolean) {
  const stops = STOPS.map((selector) => document.querySelector<HTMLElement>(selector)).filter(
    (stop) => stop !== null && stop.offsetParent !== null,
  )
  const here = stops.findIndex((stop) => stop?.contains(document.activeElement))
  const step = backwards ? -1 : 1
  stops[(here + step + stops.length) % stops.length]?.focus()
}

export function useShortcuts(
  conversation: number | null,
  open: (overlay: Overlay) => void,
  search: (conversation: number) => void,
) {
  const { conversations, connection } = useServices()
  const [, navigate] = useLocation()

  useEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      if (event.defaultPrevented || event.isComposing) return
      const command = event.ctrlKey || event.metaKey
      if (command && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') open('switcher')
      else if (command && event.key === '/') open('shortcuts')
      else if (command && event.shiftKey && event.key.toLowerCase() === 'f' && conversation !== null) {
        if (!connection.offers('search')) return
        search(conversation)
      } else if (event.key === 'F6') nextStop(event.shiftKey)
      else if (event.altKey && !command && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
        const listed = conversations.list().filter(({ me }) => me.listed && !me.archived)
        const at = listed.findIndex((entry) => entry.conversation.id === conversation)
        const next = listed[event.key === 'ArrowDown' ? at + 1 : Math.max(0, at - 1)]
        if (next) navigate(`/c/${next.conversation.id}`, { state: { fromList: true } })
      } else return
      event.preventDefault()
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  }, [conversation, conversations, connection, navigate, open, search])
}
