import { expect, test } from 'vitest'
import { t } from './i18n'
import { TABLE } from './i18n.ar'

const sources = import.meta.glob<string>(
  ['../**/*.ts', '../**/*.tsx', '!../**/*.test.*', '!../lib/i18n*.ts'],
  {
    query: '?raw',
    import: 'default',
    eager: true,
  },
)

const said = new Set(
  Object.values(sources).flatMap((source) => [
    ...[...source.matchAll(/\bt\(\s*'([^']+)'/g)].map((match) => match[1] as string),
  ]),
)

test('every text of the screens is there in Arabic, with the same places for values', () => {
  expect(said.size).toBeGreaterThan(150)
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort()
  expect([...said].filter((text) => TABLE[text] === undefined)).toEqual([])
  for (const [text, other] of Object.entries(TABLE)) expect(places(other), text).toEqual(places(text))
})

test('values are put in as they are', () => {
  expect(t('{name} is typing…', { name: '$& {name}' })).toBe('$& {name} is typing…')
  expect(t('{count} found')).toBe('{count} found')
})
