import fc from 'fast-check'
import { expect, test } from 'vitest'
import frames from '../../../docs/protocol/server-frames.json'
import { decode } from './protocol'

interface Golden {
  name: string
  frame: { type: string; ref?: unknown; body: unknown }
}

const golden = frames as Golden[]

test.each(golden)('the golden frame “$name” is understood as it stands', ({ frame }) => {
  expect(decode(JSON.stringify(frame))).toEqual(frame)
})

test('kinds of events that are not known still tell their place', () => {
  const frame = { type: 'event', body: { log: { conversation: 5 }, seq: 3, kind: 'later' } }
  expect(decode(JSON.stringify(frame))).toEqual(frame)
})

test('nothing that comes over a socket throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.json(), fc.string()), (data) => {
      const frame = decode(data)
      expect(frame === null || typeof frame.type === 'string').toBe(true)
    }),
  )
  expect(decode('{"type":"later","body":{}}')).toBeNull()
  expect(decode('{"type":"event","body":{"seq":3}}')).toBeNull()
})
