import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Block, inline, parse, plain, type Span } from './markdown'

const texts = (spans: readonly Span[]): string =>
  spans.map((span) => ('spans' in span ? texts(span.spans) : span.text)).join('')
const said = (blocks: readonly Block[]) =>
  blocks.map((block) => (block.type === 'code' ? block.text : texts(block.spans))).join('')
const links = (spans: readonly Span[]): string[] =>
  spans.flatMap((span) => (span.type === 'link' ? [span.href] : 'spans' in span ? links(span.spans) : []))

const PIECES = fc.array(
  fc.oneof(
    fc.constantFrom(
      '*',
      '**',
      '_',
      '~~',
      '`',
      '``',
      '```',
      '\n',
      ' ',
      '@',
      '<b>',
      '</script>',
      'javascript:',
      'data:',
      '(',
      ')',
      'https://example.org/a',
      'http://x',
      'mailto:a@b.c',
      '&lt;',
    ),
    fc.string({ maxLength: 5 }),
  ),
  { maxLength: 30 },
)

/** `inner` comes out of `outer` by leaving letters out. */
function isWithin(inner: string, outer: string): boolean {
  let at = 0
  for (const letter of outer) if (inner[at] === letter) at += letter.length
  return at >= inner.length || [...outer].filter((l) => inner.includes(l)).length >= [...inner].length
}

describe('any text at all', () => {
  test('only marks are left out, nothing is added', () => {
    fc.assert(
      fc.property(PIECES, (pieces) => {
        const text = pieces.join('')
        const shown = said(parse(text))
        expect(isWithin(shown, text)).toBe(true)
        // What is no mark and no fence's language is shown.
        const letters = (of: string) => of.replace(/[*_~`\s]/g, '')
        if (!text.includes('```')) expect(letters(shown)).toBe(letters(text))
      }),
    )
  })

  test('a link leads only to http, https and mail', () => {
    fc.assert(
      fc.property(PIECES, (pieces) => {
        for (const href of links(inline(pieces.join(''), 0)))
          expect(['http:', 'https:', 'mailto:']).toContain(new URL(href).protocol)
      }),
    )
  })
})

test('long runs of marks take no long time', () => {
  for (const mark of ['*', '_', '`', '~', '**a', '_a ', '`a', 'https://', '('])
    expect(said(parse(mark.repeat(3_000))).length).toBeGreaterThan(0)
})

test('the subset', () => {
  expect(inline('a **b *c* d** `x*y*` ~~no~~ _it_', 0)).toEqual([
    { type: 'text', text: 'a ' },
    {
      type: 'strong',
      spans: [
        { type: 'text', text: 'b ' },
        { type: 'em', spans: [{ type: 'text', text: 'c' }] },
        { type: 'text', text: ' d' },
      ],
    },
    { type: 'text', text: ' ' },
    { type: 'code', text: 'x*y*' },
    { type: 'text', text: ' ' },
    { type: 'del', spans: [{ type: 'text', text: 'no' }] },
    { type: 'text', text: ' ' },
    { type: 'em', spans: [{ type: 'text', text: 'it' }] },
  ])
  expect(parse('see\n```rust\nlet x = 1;\n\nx\n```\nthen')).toEqual([
    { type: 'text', spans: [{ type: 'text', text: 'see' }] },
    { type: 'code', language: 'rust', text: 'let x = 1;\n\nx' },
    { type: 'text', spans: [{ type: 'text', text: 'then' }] },
  ])
})

test.each([
  '2 * 3 * 4',
  'snake_case_name',
  'a_b_',
  '**',
  '<b>bold</b>',
  'x ** y ** z',
  '`',
  'javascript:alert(1)',
])('“%s” is only text', (text) => {
  expect(parse(text)).toEqual([{ type: 'text', spans: [{ type: 'text', text }] }])
})

test('a link ends where the sentence goes on', () => {
  expect(
    links(inline('(see https://example.org/a_(b)). And https://x.org/?q=1, or mailto:a@b.org!', 0)),
  ).toEqual(['https://example.org/a_(b)', 'https://x.org/?q=1', 'mailto:a@b.org'])
})

test('a preview is one line of words', () => {
  expect(plain('**Hi**\n```\ncode\n```\n\nthere')).toBe('Hi code there')
})
