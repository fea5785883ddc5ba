import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { ApiError } from '../../api/client'
import { renderScreen } from '../../test/screen'
import { AuthPage, SIGN_UP_PATH } from './AuthPage'

const username = () => screen.getByRole('textbox', { name: 'Username' })
const password = () => screen.getByLabelText('Password')

test('fields carry what password managers look for', () => {
  renderScreen(<AuthPage notice={null} />)
  expect(username().getAttribute('autocomplete')).toBe('username')
  expect(password().getAttribute('autocomplete')).toBe('current-password')
})

test('nothing is sent while something is missing, and the first fault has the focus', async () => {
  const login = vi.fn()
  renderScreen(<AuthPage notice={null} />, { account: { login } })
  await userEvent.click(screen.getByRole('button', { name: 'Log in' }))
  expect(login).not.toHaveBeenCalled()
  expect(username().getAttribute('aria-invalid')).toBe('true')
  expect(document.activeElement).toBe(username())
})

test('a refusal is said, and what was typed stays', async () => {
  const login = vi.fn().mockRejectedValue(new ApiError(401, 'No.'))
  renderScreen(<AuthPage notice={null} />, { account: { login } })
  await userEvent.type(username(), ' alice ')
  await userEvent.type(password(), 'pass word{Enter}')
  expect(login).toHaveBeenCalledWith('alice', 'pass word')
  await waitFor(() => expect(screen.getByRole('alert').textContent).toBe('Wrong username or password.'))
  expect(password()).toHaveProperty('value', 'pass word')
})

test('registering logs in; the server’s words stand beside their field', async () => {
  const register = vi
    .fn()
    .mockRejectedValueOnce(
      new ApiError(422, 'Invalid.', [{ field: 'password', detail: 'At least 8 characters.' }]),
    )
    .mockRejectedValueOnce(new ApiError(409, 'This name is taken.'))
    .mockResolvedValue({ id: 1, username: 'alice' })
  const login = vi.fn().mockResolvedValue(undefined)
  const { location } = renderScreen(<AuthPage notice={null} />, { api: { register }, account: { login } })
  await userEvent.click(screen.getByRole('link', { name: 'Sign up' }))
  expect(location.history.at(-1)).toBe(SIGN_UP_PATH)
  expect(password().getAttribute('autocomplete')).toBe('new-password')
  await userEvent.type(username(), 'alice')
  await userEvent.type(password(), 'secret')
  const submit = screen.getByRole('button', { name: 'Create account' })
  await userEvent.click(submit)
  await screen.findByText('At least 8 characters.')
  expect(document.activeElement).toBe(password())
  await userEvent.click(submit)
  await screen.findByText('This name is taken.')
  await userEvent.click(submit)
  await waitFor(() => expect(login).toHaveBeenCalledWith('alice', 'secret'))
})
