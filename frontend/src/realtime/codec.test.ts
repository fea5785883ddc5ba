import { expect, test } from 'vitest'
import { message } from '../test/make'
import { decode } from './codec'

test('a message, with or without a type, and with fields of a newer server', () => {
  const frame = message(7)
  expect(decode(JSON.stringify(frame))).toEqual({ type: 'message', message: frame })
  expect(decode(JSON.stringify({ ...frame, type: 'message', mood: 1 }))).toEqual({
    type: 'message',
    message: frame,
  })
})

test('an error carries back the ref', () => {
  expect(decode('{"type":"error","code":"busy","detail":"Later.","ref":3}')).toEqual({
    type: 'error',
    code: 'busy',
    detail: 'Later.',
    ref: 3,
  })
})

test.each([
  '',
  'null',
  '[]',
  '3',
  '{',
  '{"type":"presence"}',
  '{"id":"1","conversation_id":1,"sender_id":1,"content":"","timestamp":""}',
  '{"id":1,"conversation_id":1,"sender_id":1,"content":null,"timestamp":""}',
])('what is not understood is left alone: %s', (text) => {
  expect(decode(text)).toBeNull()
})
