import { expect, test } from 'vitest'
import { mentionAt, mentionsIn, suggestions } from './mentions'

const people = [
  { id: 1, name: 'ann' },
  { id: 2, name: 'anna' },
  { id: 3, name: 'joanne' },
  { id: 4, name: 'Ben Li' },
]

test('what is begun before the caret', () => {
  expect(mentionAt('hi @an there', 6)).toEqual({ from: 3, part: 'an' })
  expect(mentionAt('@', 1)).toEqual({ from: 0, part: '' })
  expect(mentionAt('a@b.org', 7)).toBeNull()
  expect(mentionAt('hi @an there', 12)).toBeNull()
})

test('the longest name is meant, and no part of a longer word', () => {
  expect(mentionsIn('@anna and @Ben Li!', people)).toEqual([2, 4])
  expect(mentionsIn('@annabel', people)).toEqual([])
  expect(mentionsIn('@ann, @ann', people)).toEqual([1])
})

test('names that begin like it come first', () => {
  expect(suggestions(people, 'an').map((person) => person.id)).toEqual([1, 2, 3])
})
