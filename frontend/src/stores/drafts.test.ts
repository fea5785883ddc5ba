import { expect, test, vi } from 'vitest'
import type { Local } from '../storage/local'
import { createDrafts } from './drafts'

test('what was written to somebody goes along when their conversation begins, and takes nothing away there', () => {
  const drafts = createDrafts()
  drafts.set('u5', { text: 'and then', replyTo: null })
  drafts.move('u5', 'c9')
  expect(drafts.get('c9')?.text).toBe('and then')
  expect(drafts.get('u5')).toBeUndefined()
  drafts.set('u5', { text: 'later', replyTo: null })
  drafts.move('u5', 'c9')
  expect(drafts.get('c9')?.text).toBe('and then')
  drafts.move('u6', 'c9')
  expect(drafts.get('c9')?.text).toBe('and then')
})

test('a draft is on the device when the typing rests, and what was sent is gone at once', async () => {
  vi.useFakeTimers()
  const putDraft = vi.fn()
  const drafts = createDrafts()
  await drafts.begin({ drafts: async () => new Map(), putDraft } as unknown as Local)
  for (const text of ['h', 'he', 'hey']) drafts.set('c1', { text, replyTo: null })
  expect(putDraft).not.toHaveBeenCalled()
  vi.runAllTimers()
  expect(putDraft.mock.calls).toEqual([['c1', { text: 'hey', replyTo: null }]])
  drafts.set('c1', null)
  expect(putDraft).toHaveBeenLastCalledWith('c1', null)
  vi.useRealTimers()
})
