import { expect, test } from 'vitest'
import { createReadMarks } from './readMarks'

function storage() {
  const kept = new Map<string, string>()
  return {
    kept,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  }
}

test('marks only advance, and outlive the page', () => {
  const disk = storage()
  const marks = createReadMarks(disk)
  marks.open(1)
  expect(marks.advance(5, 10)).toBe(true)
  expect(marks.advance(5, 9)).toBe(false)
  const again = createReadMarks(disk)
  again.open(1)
  expect(again.get(5)).toBe(10)
})

test('two users of one browser do not share them, and broken storage is no harm', () => {
  const disk = storage()
  const marks = createReadMarks(disk)
  marks.open(1)
  marks.advance(5, 10)
  disk.kept.set('chat.read.2', '{broken')
  marks.open(2)
  expect(marks.get(5)).toBe(0)
  expect(marks.advance(5, 1)).toBe(true)
})
