import type { Entry, Message } from '../api/protocol'
import { t } from '../lib/i18n'
import { plain } from '../lib/markdown'
import type { People } from '../stores/people'
import type { PreferencesStore } from '../stores/preferences'

/** A notification of the system, while this page is not in front. */
export function notify(preferences: PreferencesStore, people: People, entry: Entry, message: Message) {
  if (!preferences.state.getState().notify || typeof Notification === 'undefined') return
  if (Notification.permission !== 'granted') return
  if (document.visibilityState === 'visible' && document.hasFocus()) return
  const { id, title, kind } = entry.conversation
  const sender = people.name(message.sender ?? 0) ?? t('Somebody')
  const text = plain(message.text ?? '').slice(0, 200)
  try {
    const note = new Notification(kind === 'group' ? (title ?? t('Group')) : sender, {
      body: kind === 'group' ? `${sender}: ${text}` : text,
      tag: `c${id}`,
      icon: '/favicon.svg',
    })
    note.onclick = () => {
      focus()
      history.pushState(null, '', `/c/${id}`)
      note.close()
    }
  } catch {
    // Some phones notify from a service worker only.
  }
}
