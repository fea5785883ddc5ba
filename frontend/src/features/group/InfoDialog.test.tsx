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
