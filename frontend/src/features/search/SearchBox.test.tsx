import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import type { User } from '../../api/types'
import { conversation } from '../../test/make'
import { renderScreen } from '../../test/screen'
import { PeopleSearch } from './PeopleSearch'

const ANN = { id: 5, username: 'ann' }
const ANNA = { id: 6, username: 'anna' }
const box = () => screen.getByRole('searchbox', { name: 'Find people' })

test('typing asks once, and Enter takes the first', async () => {
  const searchUsers = vi.fn(async (): Promise<User[]> => [ANN, ANNA])
  const { location } = renderScreen(<PeopleSearch>list</PeopleSearch>, { api: { searchUsers } })
  await userEvent.type(box(), 'ann')
  await screen.findByRole('button', { name: 'anna' })
  expect(searchUsers).toHaveBeenCalledOnce()
  await userEvent.keyboard('{Enter}')
  expect(location.history.at(-1)).toBe('/u/5')
  expect(screen.getByText('list')).toBeTruthy()
})

test('arrows reach every result and come back; a known person opens their conversation', async () => {
  const searchUsers = async () => [ANN, ANNA]
  const { location, services } = renderScreen(<PeopleSearch>list</PeopleSearch>, { api: { searchUsers } })
  services.conversations.loaded([conversation(9, null, { peer: ANNA })])
  await userEvent.type(box(), 'ann')
  await screen.findByRole('button', { name: 'anna' })
  await userEvent.keyboard('{ArrowDown}{ArrowDown}')
  expect(document.activeElement?.textContent).toContain('anna')
  await userEvent.keyboard('{ArrowUp}{ArrowUp}')
  expect(document.activeElement).toBe(box())
  await userEvent.keyboard('{ArrowDown}{ArrowDown}{Enter}')
  expect(location.history.at(-1)).toBe('/c/9')
})

test('a failure and an empty answer are said', async () => {
  const searchUsers = vi
    .fn()
    .mockResolvedValueOnce([])
    .mockRejectedValueOnce(new Error('Too many questions.'))
  renderScreen(<PeopleSearch>list</PeopleSearch>, { api: { searchUsers } })
  await userEvent.type(box(), 'zoe')
  await screen.findByText('Nobody is called “zoe”.')
  await userEvent.type(box(), 'y')
  await waitFor(() => expect(screen.getByRole('status').textContent).toBe('Too many questions.'))
})
