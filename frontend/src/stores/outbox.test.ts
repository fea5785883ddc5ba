import { describe, expect, test } from 'vitest'
import { message } from '../test/make'
import { createOutbox, matchEcho, type PendingSend, reconcile } from './outbox'

const ME = 1
const here = { conversationId: 1 }
const echo = (id: number, content: string) => message(id, { sender_id: ME, content })

function sent(outbox: ReturnType<typeof createOutbox>, content: string, floor = 10): PendingSend {
  const send = outbox.add(here, content)
  outbox.patch(send.id, { status: 'sending', floor })
  return send
}

describe('an echo', () => {
  test('belongs to the first send of the same words', () => {
    const outbox = createOutbox()
    const first = sent(outbox, 'ok')
    const second = sent(outbox, 'ok')
    const other = sent(outbox, 'and?')
    expect(matchEcho(outbox.get(), echo(11, 'ok'), 2)?.id).toBe(first.id)
    outbox.remove(first.id)
    expect(matchEcho(outbox.get(), echo(12, 'and?'), 2)?.id).toBe(other.id)
    expect(matchEcho(outbox.get(), echo(13, 'ok'), 2)?.id).toBe(second.id)
  })

  test('from another device of mine takes no bubble of other words', () => {
    const outbox = createOutbox()
    sent(outbox, 'from here')
    expect(matchEcho(outbox.get(), echo(11, 'from the phone'), 2)).toBeUndefined()
  })

  test('of a first message finds it by the person, also when the conversation is not known yet', () => {
    const outbox = createOutbox()
    const send = outbox.add({ userId: 5 }, 'hello')
    outbox.patch(send.id, { status: 'sending' })
    expect(matchEcho(outbox.get(), echo(1, 'hello'), 5)?.id).toBe(send.id)
    expect(matchEcho(outbox.get(), echo(1, 'hello'), undefined)?.id).toBe(send.id)
    expect(matchEcho(outbox.get(), echo(1, 'hello'), 6)).toBeUndefined()
    expect(matchEcho(outbox.get(), echo(1, 'hello'), null)).toBeUndefined()
  })

  test('that comes late still settles a send in doubt', () => {
    const outbox = createOutbox()
    const send = sent(outbox, 'late')
    outbox.patch(send.id, { status: 'unconfirmed' })
    expect(matchEcho(outbox.get(), echo(11, 'late'), 2)?.id).toBe(send.id)
    expect(matchEcho(outbox.get(), echo(10, 'late'), 2)).toBeUndefined()
  })
})

describe('after a drop', () => {
  test('what the history has was sent, what it lacks is not confirmed', () => {
    const outbox = createOutbox()
    const found = sent(outbox, 'one')
    const lost = sent(outbox, 'two')
    outbox.dropped()
    const result = reconcile(outbox.get(), here, [echo(11, 'one')], ME, new Set())
    expect([...result.found]).toEqual([[found.id, 11]])
    expect(result.sends.map((send) => [send.id, send.status])).toEqual([[lost.id, 'unconfirmed']])
  })

  test('each message of the history settles one send only', () => {
    const outbox = createOutbox()
    sent(outbox, 'ok')
    sent(outbox, 'ok')
    outbox.dropped()
    const { sends } = reconcile(outbox.get(), here, [echo(11, 'ok')], ME, new Set())
    expect(sends.map((send) => send.status)).toEqual(['unconfirmed'])
  })

  test('older messages, those of others and those already echoed prove nothing', () => {
    const outbox = createOutbox()
    sent(outbox, 'ok', 10)
    outbox.dropped()
    const history = [echo(9, 'ok'), message(11, { content: 'ok' }), echo(12, 'ok')]
    const { sends } = reconcile(outbox.get(), here, history, ME, new Set([12]))
    expect(sends.map((send) => send.status)).toEqual(['unconfirmed'])
  })

  test('queued and failed ones are left as they are', () => {
    const outbox = createOutbox()
    const queued = outbox.add(here, 'waits')
    const failed = sent(outbox, 'no')
    outbox.refused(failed.ref, 'Too fast.')
    outbox.dropped()
    expect(outbox.get().map((send) => [send.id, send.status, send.detail])).toEqual([
      [queued.id, 'queued', null],
      [failed.id, 'failed', 'Too fast.'],
    ])
  })
})

test('a retry goes to the end with a new ref, so that an old refusal cannot hit it', () => {
  const outbox = createOutbox()
  const first = sent(outbox, 'one')
  outbox.refused(first.ref, 'Busy.')
  sent(outbox, 'two')
  outbox.requeue(first.id)
  expect(outbox.get().map((send) => send.content)).toEqual(['two', 'one'])
  outbox.patch(first.id, { status: 'sending' })
  outbox.refused(first.ref, 'Busy.')
  expect(outbox.get().at(-1)?.status).toBe('sending')
})
