import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { createStore } from 'zustand/vanilla'
import type { Entry } from '../../api/protocol'
import { entry } from '../../test/make'
import { renderScreen } from '../../test/screen'
import { InfoDialog } from './InfoDialog'

const direct = entry(7)
const group: Entry = { ...direct, conversation: { ...direct.conversation, kind: 'group' } }

test('leaving a group is asked about first', async () => {
  const write = vi.fn().mockResolvedValue({})
  const onClose = vi.fn()
  renderScreen(<InfoDialog entry={group} name="choir" avatarId={7} onClose={onClose} />, {
    actions: { write },
    members: {
      state: createStore(() => ({ members: { 7: [] } })),
      load: vi.fn().mockResolvedValue(undefined),
    },
  })
  await userEvent.click(screen.getByRole('button', { name: 'Leave group' }))
  expect(write).not.toHaveBeenCalled()
  const asked = within(screen.getByRole('dialog', { name: 'Leave choir?' }))
  await userEvent.click(asked.getByRole('button', { name: 'Leave group' }))
  expect(write).toHaveBeenCalledExactlyOnceWith('leave', { conversation: 7 })
  expect(onClose).toHaveBeenCalled()
})

test('a group is not handed over by one slip', async () => {
  const write = vi.fn().mockResolvedValue({})
  const owned: Entry = { ...group, me: { ...group.me, role: 'owner' } }
  const members = [
    { user: 1, role: 'owner' as const },
    { user: 2, role: 'member' as const },
  ]
  const { services } = renderScreen(
    <InfoDialog entry={owned} name="choir" avatarId={7} onClose={vi.fn()} />,
    {
      actions: { write },
      members: {
        state: createStore(() => ({ members: { 7: members } })),
        load: vi.fn().mockResolvedValue(undefined),
      },
    },
  )
  services.people.learn([{ id: 2, name: 'ben' }])
  await userEvent.click(await screen.findByRole('button', { name: 'Actions for ben' }))
  await userEvent.click(screen.getByText('Hand the group over'))
  expect(write).not.toHaveBeenCalled()
  const asked = within(screen.getByRole('dialog', { name: 'Hand the group over to ben?' }))
  await userEvent.click(asked.getByRole('button', { name: 'Hand the group over' }))
  expect(write).toHaveBeenCalledExactlyOnceWith('set_role', { conversation: 7, user: 2, role: 'owner' })
})
