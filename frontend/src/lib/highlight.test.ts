import fc from 'fast-check'
import { expect, test } from 'vitest'
import { snippet, wordsOf } from './highlight'

const shown = (text: string, query: string) =>
  snippet(text, query)
    .map(({ text, hit }) => (hit ? `[${text}]` : text))
    .join('')

test('words are marked whatever their case and accents, the last one by its beginning', () => {
  expect(shown('Meet at the LIGHTHOUSE', 'light')).toBe('Meet at the [LIGHT]HOUSE')
  expect(shown('Zwei Cafés', 'cafe zwei')).toBe('[Zwei] [Café]s')
  expect(shown('e\u0301t\u00e9 e\u0301', 'ete')).toBe('[e\u0301t\u00e9] e\u0301')
  expect(shown('a+b "c"', '"b" +C')).toBe('a+[b] "[c]"')
  expect(shown('highlight light', 'light')).toBe('highlight [light]')
  expect(shown('明天見', '天')).toBe('明[天]見')
  expect(shown('<b>bold</b>', '<b>')).toBe('<[b]>[b]old</[b]>')
})

test('what was found is in the part that is shown', () => {
  const long = `${'far away '.repeat(50)}the needle ${'and more '.repeat(50)}`
  const pieces = snippet(long, 'needle')
  expect(pieces.some(({ text, hit }) => hit && text === 'needle')).toBe(true)
  expect(pieces[0]?.text).toBe('…')
  expect(pieces.at(-1)?.text).toBe('…')
})

test('nothing is lost or added, in any script', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.string({ maxLength: 6 }),
      (text, query) => {
        const pieces = snippet(text, query, 200)
        expect(pieces.map((piece) => piece.text).join('')).toBe(text)
        if (wordsOf(query).length === 0) expect(pieces.every(({ hit }) => !hit)).toBe(true)
      },
    ),
  )
})
