import { ApiError, createApi } from '../api/client'
import type { User } from '../api/types'
import { createConnection } from '../realtime/connection'
import { createAnnouncer } from '../stores/announcer'
import { createChat } from '../stores/chat'
import type { Services } from '../stores/context'
import { createConversationsStore } from '../stores/conversations'
import { createDrafts } from '../stores/drafts'
import { createMessagesStore } from '../stores/messages'
import { createOutbox } from '../stores/outbox'
import { createPeople } from '../stores/people'
import { createReadMarks } from '../stores/readMarks'
import { createSessionStore } from '../stores/session'

type TabMessage = 'login' | 'logout'

/** Builds everything once and ties it together. */
export function createServices(): Services {
  const api = createApi(() => connection.dispatch({ type: 'unauthorized' }))
  const session = createSessionStore()
  const conversations = createConversationsStore()
  const messages = createMessagesStore()
  const outbox = createOutbox()
  const people = createPeople(api)
  const announcer = createAnnouncer()
  const drafts = createDrafts()
  const readMarks = createReadMarks(localStorage)
  const tabs = new BroadcastChannel('chat.session')

  const connection = createConnection({
    onFrame: (frame) => chat.frame(frame),
    onDrop: (code) => chat.dropped(code),
    sync: () => chat.sync(),
  })
  const chat = createChat({
    api,
    conversations,
    messages,
    outbox,
    people,
    readMarks,
    announcer,
    transmit: connection.send,
    suspect: () => connection.dispatch({ type: 'suspect' }),
  })

  function begin(user: User) {
    chat.begin(user)
    session.setState({ status: 'active', user }, true)
    connection.dispatch({ type: 'start', online: navigator.onLine })
  }

  function end(notice: string | null) {
    connection.dispatch({ type: 'stop' })
    chat.end()
    drafts.reset()
    session.setState({ status: 'anonymous', notice }, true)
  }

  async function check() {
    try {
      const { user } = await api.session()
      const now = session.getState()
      if (now.status === 'active') {
        if (now.user.id === user.id) return
        end(null)
      }
      begin(user)
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) end(null)
      else if (session.getState().status !== 'active') session.setState({ status: 'unreachable' }, true)
    }
  }

  connection.state.subscribe((state) => {
    if (state.name === 'expired') end('Your session has ended. Log in again.')
    else if (state.name === 'live') chat.flush()
  })
  tabs.onmessage = ({ data }: MessageEvent<TabMessage>) => {
    if (data === 'login') check()
    else if (data === 'logout') end(null)
  }
  addEventListener('storage', (event) => readMarks.reloadIf(event.key) && chat.marksChanged())
  connection.watchBrowser()
  check()

  return {
    api,
    session,
    conversations,
    messages,
    outbox,
    people,
    announcer,
    drafts,
    chat,
    connection,
    account: {
      check,
      async login(username, password) {
        const { user } = await api.login(username, password)
        begin(user)
        tabs.postMessage('login' satisfies TabMessage)
      },
      async logout() {
        await api.logout().catch((error) => {
          // Without a session there is nothing left to end.
          if (!(error instanceof ApiError && error.status === 401)) throw error
        })
        end(null)
        tabs.postMessage('logout' satisfies TabMessage)
      },
    },
  }
}
