import { expect, test } from 'vitest'
import type { Event } from '../api/protocol'
import type { Connection } from '../realtime/connection'
import type { Conversations } from './conversations'
import type { Inbox } from './inbox'
import { createUserLog } from './userLog'

test('what was cleared away is read again: settings that changed before come as hidden', () => {
  const fetched: number[] = []
  const cleared: number[] = []
  const log = createUserLog({
    connection: {} as Connection,
    conversations: { update() {} } as unknown as Conversations,
    inbox: { fetch: (id: number) => Promise.resolve(void fetched.push(id)) } as Inbox,
    login: { user: 1, generation: 0 },
    cleared: (id) => void cleared.push(id),
    saveSoon() {},
  })
  const hid = { kind: 'hid', log: { user: 1 }, seq: 7, conversation: 3, through: 9 } as unknown as Event
  log.event(hid)
  log.event(hid)
  expect([fetched, cleared]).toEqual([[3], [3]])
})
