import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { useState } from 'react'
import { afterEach, expect, test, vi } from 'vitest'
import { Composer } from '../features/composer/Composer'
import { setLanguage } from '../lib/i18n'
import type { Local } from '../storage/local'
import { createDrafts } from '../stores/drafts'
import { renderScreen } from '../test/screen'
import { FaultBoundary, logFault } from './Fault'

const SECRET = 'see you at the harbour\n    at nine:00:00'

const COMPOSER = {
  people: [],
  quote: null,
  editing: null,
  trouble: null,
  maxBytes: 100,
  onSend: vi.fn(),
  onSave: vi.fn(),
  onCancel: vi.fn(),
  onEditLast: vi.fn(),
  onTyping: vi.fn(),
}

function Broken(): never {
  throw new TypeError(`cannot draw ${SECRET}`)
}

const draw = () =>
  render(
    <FaultBoundary>
      <Broken />
    </FaultBoundary>,
    { onCaughtError: logFault },
  )

afterEach(() => setLanguage('en'))

test('a fault shows a calm page, in the language chosen, without what was thrown', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  draw()
  screen.getByRole('heading', { name: 'Something went wrong' })
  expect(document.body.textContent).not.toContain('harbour')
  await setLanguage('ar')
  await screen.findByRole('heading', { name: 'حدث خطأ ما' })
  screen.getByRole('button', { name: 'إعادة التحميل' })
})

test('the console is told where, and no text of a message', () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => {})
  draw()
  const said = error.mock.calls.map((call) => call.map(String).join('\n')).join('\n')
  expect(said).toContain('TypeError')
  expect(said).toContain('Broken')
  expect(said).toMatch(/Fault\.test\.tsx.*:\d+:\d+/)
  expect(said).not.toMatch(/harbour|nine/)
  expect(error).toHaveBeenCalledOnce()
})

test('what was written stays, on the device too, and the button loads the page anew', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  const reload = vi.spyOn(location, 'reload').mockImplementation(() => {})
  const kept = { drafts: async () => new Map(), putDraft: vi.fn() }
  const drafts = createDrafts()
  await drafts.begin(kept as unknown as Local)
  function Screen() {
    const [broken, setBroken] = useState(false)
    return (
      <>
        <Composer {...COMPOSER} draftKey="c1" />
        <button type="button" onClick={() => setBroken(true)}>
          break
        </button>
        {broken && <Broken />}
      </>
    )
  }
  renderScreen(
    <FaultBoundary>
      <Screen />
    </FaultBoundary>,
    { drafts },
  )
  await userEvent.type(screen.getByRole('textbox', { name: 'Message' }), 'half a thought')
  await userEvent.click(screen.getByRole('button', { name: 'break' }))
  await userEvent.click(screen.getByRole('button', { name: 'Reload' }))
  expect(reload).toHaveBeenCalledOnce()
  drafts.save()
  expect(kept.putDraft).toHaveBeenLastCalledWith('c1', { text: 'half a thought', replyTo: null })
})
