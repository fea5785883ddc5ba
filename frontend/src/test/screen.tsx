import { render } from '@testing-library/react'
import type { ReactNode } from 'react'
import { vi } from 'vitest'
import { Router } from 'wouter'
import { memoryLocation } from 'wouter/memory-location'
import type { Services } from '../stores/context'
import { ServicesContext } from '../stores/context'
import { createConversationsStore } from '../stores/conversations'
import { createDrafts } from '../stores/drafts'
import { createPeople } from '../stores/people'

/** A screen on services of which the test tells what it needs. */
export function renderScreen(
  screen: ReactNode,
  given: { [K in keyof Services]?: Partial<Services[K]> } = {},
) {
  const api = { user: vi.fn(), ...given.api } as Services['api']
  const services = {
    conversations: createConversationsStore(),
    drafts: createDrafts(),
    people: createPeople(api),
    ...given,
    api,
  } as unknown as Services
  const location = memoryLocation({ path: '/', record: true })
  const view = render(
    <Router hook={location.hook}>
      <ServicesContext value={services}>{screen}</ServicesContext>
    </Router>,
  )
  return { ...view, services, location }
}
