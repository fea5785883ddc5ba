import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Event, Message } from '../api/protocol'
import { at, entry, message, posted } from '../test/make'
import { applyToEntry, applyToRanges, isNext } from './applyEvent'
import type { Range } from './ranges'

const ME = 1

/** A conversation's log and the messages as the server would answer with them, kept in the plainest way. */
class Model {
  log: Event[] = []
  messages: Message[] = []
  pins: number[] = []
  private seq = 1
  private counts = new Map<string, number>()

  private event(what: object, actor: number): Event {
    this.seq += 1
    const event = {
      log: { conversation: 1 },
      seq: this.seq,
      at: at(this.seq),
      actor,
      ...what,
    } as unknown as Event
    this.log.push(event)
    return event
  }

  act(kind: number, pick: number, who: number): Event | null {
    const alive = this.messages.filter((one) => !one.deleted)
    const target = alive[pick % Math.max(1, alive.length)]
    const actor = who % 2 ? ME : 2
    if (kind === 0 || !target) {
      const made = message(this.seq + 1, { number: this.messages.length + 1, sender: actor })
      this.messages.push(made)
      return this.event({ kind: 'posted', message: made }, actor)
    }
    const put = (next: Message) => {
      this.messages = this.messages.map((one) => (one.id === next.id ? next : one))
      return next
    }
    if (kind === 1)
      return this.event(
        {
          kind: 'edited',
          message: put({
            ...target,
            text: `edit ${pick}`,
            revision: target.revision + 1,
            edited_at: at(this.seq),
          }),
        },
        actor,
      )
    if (kind === 2) {
      const { text: _, edited_at: __, ...rest } = target
      put({ ...rest, reactions: [], mentions: [], deleted: true })
      this.pins = this.pins.filter((pin) => pin !== target.id)
      return this.event({ kind: 'deleted', message: target.id }, actor)
    }
    if (kind === 3) {
      const emoji = ['👍', '🎉'][pick % 2] as string
      const name = `${target.id}${emoji}`
      const before = this.counts.get(name) ?? 0
      const on = before === 0 || who % 3 > 0
      const count = before + (on ? 1 : -1)
      this.counts.set(name, count)
      const others = target.reactions.filter((reaction) => reaction.emoji !== emoji)
      const known = target.reactions.some((reaction) => reaction.emoji === emoji)
      const reactions =
        count === 0
          ? others
          : known
            ? target.reactions.map((reaction) => (reaction.emoji === emoji ? { emoji, count } : reaction))
            : [...others, { emoji, count }]
      put({ ...target, reactions })
      return this.event({ kind: 'reacted', message: target.id, emoji, on, count }, actor)
    }
    if (kind === 4) {
      const on = !this.pins.includes(target.id)
      this.pins = on ? [...this.pins, target.id] : this.pins.filter((pin) => pin !== target.id)
      return this.event({ kind: 'pinned', message: target.id, on }, actor)
    }
    return this.event({ kind: 'something later' }, actor)
  }
}

const ACTS = fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 50 }), fc.nat({ max: 8 })), {
  maxLength: 60,
})

const bare = (messages: readonly object[]) =>
  messages.map((one) => {
    const { mine: _, sendKey: __, ...rest } = one as Record<string, unknown>
    return rest
  })

describe('whoever follows the events ends equal to whoever loads afresh', () => {
  test('messages, also when some events are told twice', () => {
    fc.assert(
      fc.property(ACTS, fc.nat({ max: 60 }), fc.nat({ max: 10 }), (acts, cut, again) => {
        const model = new Model()
        for (const act of acts) model.act(...act)
        // The page was read after some of the events; from a few before that on they are told again.
        const later = new Model()
        for (const act of acts.slice(0, cut)) later.act(...act)
        let ranges: readonly Range[] = [{ items: later.messages, atStart: true, atEnd: true }]
        for (const event of model.log.slice(Math.max(0, later.log.length - again)))
          ranges = applyToRanges(ranges, event, ME)
        expect(bare(ranges[0]?.items ?? [])).toEqual(bare(model.messages))
      }),
    )
  })

  test('the entry of the list', () => {
    fc.assert(
      fc.property(ACTS, (acts) => {
        const model = new Model()
        let now = entry(1)
        let unread = 0
        for (const act of acts) {
          const event = model.act(...act)
          if (!event) continue
          expect(isNext(now, event.seq)).toBe(true)
          expect(isNext(now, event.seq + 1)).toBeNull()
          now = applyToEntry(now, event, ME)
          expect(isNext(now, event.seq)).toBe(false)
          if (event.kind === 'posted') unread = event.message.sender === ME ? 0 : unread + 1
        }
        expect(now.me.unread).toBe(unread)
        expect(now.messages).toBe(model.messages.length)
        expect(now.conversation.pins).toEqual(model.pins)
        const last = model.messages.at(-1)
        expect(now.last?.id).toBe(last?.id)
        expect(now.last?.text).toBe(last?.text)
      }),
    )
  })
})

test('an older state never overwrites a newer one', () => {
  const ranges: Range[] = [{ items: [message(2, { text: 'two', revision: 2 })], atStart: true, atEnd: true }]
  const late: Event = {
    log: { conversation: 1 },
    seq: 3,
    at: at(3),
    actor: 2,
    kind: 'edited',
    message: message(2, { text: 'one', revision: 1 }),
  }
  expect(applyToRanges(ranges, late, ME)[0]?.items[0]?.text).toBe('two')
})

test("one's own reactions are learned from events, and forgotten with them", () => {
  const react = (on: boolean, count: number, actor: number): Event => ({
    log: { conversation: 1 },
    seq: 3,
    at: at(3),
    actor,
    kind: 'reacted',
    message: 2,
    emoji: '👍',
    on,
    count,
  })
  let ranges: readonly Range[] = [{ items: [message(2)], atStart: true, atEnd: true }]
  ranges = applyToRanges(ranges, react(true, 1, 2), ME)
  expect(ranges[0]?.items[0]?.mine ?? []).toEqual([])
  ranges = applyToRanges(ranges, react(true, 2, ME), ME)
  expect(ranges[0]?.items[0]?.mine).toEqual(['👍'])
  ranges = applyToRanges(ranges, react(false, 1, ME), ME)
  expect(ranges[0]?.items[0]?.mine).toEqual([])
})

test('a message that one sent takes over its bubble', () => {
  const ranges: Range[] = [{ items: [], atStart: true, atEnd: true }]
  const [range] = applyToRanges(ranges, posted(message(2, { sender: ME })), ME, 'key')
  expect(range?.items[0]?.sendKey).toBe('key')
})

test('mentions are counted until they are read or answered', () => {
  const mention = message(2, { mentions: [ME] })
  const told = applyToEntry(entry(1, message(1)), posted(mention), ME)
  expect(told.me).toMatchObject({ unread: 1, mentions: 1 })
  const more = applyToEntry(told, posted(message(3)), ME)
  expect(more.me).toMatchObject({ unread: 2, mentions: 1 })
  const answered = applyToEntry(more, posted(message(4, { sender: ME })), ME)
  expect(answered.me).toMatchObject({ unread: 0, mentions: 0 })
})
