import { render } from '@testing-library/react'
import type { ReactNode } from 'react'
import { vi } from 'vitest'
import { Router } from 'wouter'
import { memoryLocation } from 'wouter/memory-location'
import { createStore } from 'zustand/vanilla'
import type { Services } from '../stores/context'
import { ServicesContext, UserContext } from '../stores/context'
import { createConversations } from '../stores/conversations'
import { createDrafts } from '../stores/drafts'
import { createLive } from '../stores/live'
import { createPeople } from '../stores/people'

/** A screen on services of which the test tells what it needs. */
export function renderScreen(
  screen: ReactNode,
  given: { [K in keyof Services]?: Partial<Services[K]> } = {},
) {
  const services = {
    conversations: createConversations(),
    drafts: createDrafts(),
    live: createLive(),
    people: createPeople(vi.fn(() => new Promise<never>(() => {}))),
    ...given,
    connection: { greeting: createStore(() => ({ hello: null })), offers: () => false, ...given.connection },
  } as unknown as Services
  const location = memoryLocation({ path: '/', record: true })
  const view = render(
    <Router hook={location.hook}>
      <UserContext value={{ id: 1, name: 'me' }}>
        <ServicesContext value={services}>{screen}</ServicesContext>
      </UserContext>
    </Router>,
  )
  return { ...view, services, location }
}
