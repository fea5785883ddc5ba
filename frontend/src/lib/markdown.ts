/**
 * The markup of messages: a small subset of Markdown as a tree. Whatever is not markup is text, and no text is
 * ever anything else: the tree is drawn by React, so nothing in it can become HTML.
 */

export type Block = { type: 'text'; spans: Span[] } | { type: 'code'; text: string; language: string }

export type Span =
  | { type: 'text'; text: string }
  | { type: 'code'; text: string }
  | { type: 'strong' | 'em' | 'del'; spans: Span[] }
  | { type: 'link'; text: string; href: string }

const FENCE = /^```([^\n`]*)\n([\s\S]*?)\n?```[ \t]*$/gm
/** Nested marks are read this deep; deeper ones are text. */
const DEPTH = 4

export function parse(text: string): Block[] {
  const blocks: Block[] = []
  let at = 0
  for (const match of text.matchAll(FENCE)) {
    const before = text.slice(at, match.index).replace(/\n$/, '')
    if (before) blocks.push({ type: 'text', spans: inline(before, 0) })
    blocks.push({ type: 'code', language: (match[1] ?? '').trim(), text: match[2] ?? '' })
    at = match.index + match[0].length
    if (text[at] === '\n') at += 1
  }
  const rest = text.slice(at)
  if (rest || blocks.length === 0) blocks.push({ type: 'text', spans: inline(rest, 0) })
  return blocks
}

/** Each begins and ends at a word, so that `2 * 3 * 4` and `snake_case_name` stay as they are. */
const MARKS =
  /(`+)(?!`)([^\n]*?[^`\n])\1(?!`)|(?<![\w*])\*\*(?=\S)([^\n]*?\S)\*\*(?![\w*])|(?<![\w*])\*(?=[^\s*])([^*\n]*?[^\s*])\*(?![\w*])|(?<!\w)_(?=[^\s_])([^\n]*?[^\s_])_(?!\w)|(?<![\w~])~~(?=\S)([^\n]*?\S)~~(?![\w~])|(?:https?:\/\/|mailto:)[^\s<>"`]+/g

export function inline(text: string, depth: number): Span[] {
  const spans: Span[] = []
  let at = 0
  for (const match of text.matchAll(MARKS)) {
    const [whole, , code, strong, star, underscore, struck] = match
    const span =
      code !== undefined
        ? ({ type: 'code', text: code } as const)
        : strong !== undefined
          ? marked('strong', strong, depth)
          : (star ?? underscore) !== undefined
            ? marked('em', (star ?? underscore) as string, depth)
            : struck !== undefined
              ? marked('del', struck, depth)
              : link(whole)
    if (!span) continue
    if (match.index > at) spans.push({ type: 'text', text: text.slice(at, match.index) })
    spans.push(span)
    at = match.index + (span.type === 'link' ? span.text.length : whole.length)
  }
  if (at < text.length) spans.push({ type: 'text', text: text.slice(at) })
  return spans
}

const marked = (type: 'strong' | 'em' | 'del', inner: string, depth: number): Span => ({
  type,
  spans: depth < DEPTH ? inline(inner, depth + 1) : [{ type: 'text', text: inner }],
})

const SAFE = new Set(['http:', 'https:', 'mailto:'])

/** A link leads only where a browser runs nothing, and says where: its text is its address. */
function link(found: string): Span | null {
  let text = found.replace(/[.,;:!?'*_~]+$/, '')
  // A bracket that was opened before the link is closed after it.
  while (text.endsWith(')') && count(text, ')') > count(text, '(')) text = text.slice(0, -1)
  try {
    const url = new URL(text)
    return SAFE.has(url.protocol) ? { type: 'link', text, href: url.href } : null
  } catch {
    return null
  }
}

const count = (text: string, letter: string) => text.split(letter).length - 1

/** The words alone, for a line of preview. */
export function plain(text: string): string {
  const said = (spans: readonly Span[]): string =>
    spans.map((span) => ('spans' in span ? said(span.spans) : span.text)).join('')
  return parse(text)
    .map((block) => (block.type === 'code' ? block.text : said(block.spans)))
    .join(' ')
    .replace(/\s+/g, ' ')
    .trim()
}
