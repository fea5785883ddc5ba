import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { beforeAll, expect, test, vi } from 'vitest'
import { entry } from '../../test/make'
import { renderScreen } from '../../test/screen'
import { SearchBox } from './SearchBox'

const ANN = { id: 5, name: 'ann' }
const ANNA = { id: 6, name: 'anna' }
const BOX = (
  <SearchBox within={null} onLeave={() => {}} onShow={() => {}}>
    list
  </SearchBox>
)
const box = () => screen.getByRole('searchbox', { name: 'Find people' })

// What draws the results comes later in a browser; here its loading is not what is tested.
beforeAll(async () => void (await import('./Results')))

test('typing asks once, and Enter takes the first', async () => {
  const ask = vi.fn().mockResolvedValue({ users: [ANN, ANNA] })
  const { location } = renderScreen(BOX, { connection: { ask } })
  await userEvent.type(box(), 'ann')
  await screen.findByRole('button', { name: 'anna' })
  expect(ask).toHaveBeenCalledOnce()
  await userEvent.keyboard('{Enter}')
  expect(location.history.at(-1)).toBe('/u/5')
  expect(screen.getByText('list')).toBeTruthy()
})

test('arrows reach every result and come back; a known person opens their conversation', async () => {
  const ask = vi.fn().mockResolvedValue({ users: [ANN, ANNA] })
  const { location, services } = renderScreen(BOX, { connection: { ask } })
  const known = entry(9, undefined, { peer: ANNA })
  services.conversations.page(
    [{ ...known, conversation: { ...known.conversation, pair: [1, ANNA.id] } }],
    null,
  )
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
  const ask = vi
    .fn()
    .mockResolvedValueOnce({ users: [] })
    .mockRejectedValueOnce(new Error('Too many questions.'))
  renderScreen(BOX, { connection: { ask } })
  await userEvent.type(box(), 'zoe')
  await screen.findByText('Nobody is called “zoe”.')
  await userEvent.type(box(), 'y')
  await waitFor(() => expect(screen.getByRole('status').textContent).toBe('Too many questions.'))
})
