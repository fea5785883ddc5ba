import { Check, Copy } from 'lucide-react'
import { memo, type ReactNode, useState } from 'react'
import { t } from '../../lib/i18n'
import { parse, type Span } from '../../lib/markdown'
import styles from './Markup.module.css'

interface Props {
  text: string
  /** Names that stand for people where an @ is before them. */
  mentioned: readonly string[]
}

/** The text of a message, drawn: text nodes and a few elements, never HTML. */
export const Markup = memo(function Markup({ text, mentioned }: Props) {
  return parse(text).map((block, place) =>
    block.type === 'code' ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: a message's blocks have no other name
      <Code key={place} text={block.text} />
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: a message's blocks have no other name
      <span key={place} className={styles.text}>
        {draw(block.spans, mentioned)}
      </span>
    ),
  )
})

function draw(spans: readonly Span[], mentioned: readonly string[]): ReactNode[] {
  return spans.map((span, place) => {
    const key = place
    switch (span.type) {
      case 'text':
        return <Text key={key} text={span.text} mentioned={mentioned} />
      case 'code':
        return (
          <code key={key} className={styles.code} dir="ltr">
            {span.text}
          </code>
        )
      case 'link':
        return (
          <a
            key={key}
            className={styles.link}
            href={span.href}
            target="_blank"
            rel="noopener noreferrer nofollow"
            dir="ltr"
          >
            {span.text}
          </a>
        )
      case 'strong':
        return <strong key={key}>{draw(span.spans, mentioned)}</strong>
      case 'em':
        return <em key={key}>{draw(span.spans, mentioned)}</em>
      default:
        return <del key={key}>{draw(span.spans, mentioned)}</del>
    }
  })
}

/** Text with the names in it that are meant. */
function Text({ text, mentioned }: Props) {
  if (mentioned.length === 0) return text
  const parts: ReactNode[] = []
  let rest = text
  let from = 0
  while (from < rest.length) {
    const at = rest.indexOf('@', from)
    if (at < 0) break
    const name = mentioned.find((other) => rest.startsWith(other, at + 1))
    if (name === undefined) {
      from = at + 1
      continue
    }
    parts.push(rest.slice(0, at))
    parts.push(
      <span key={parts.length} className={styles.mention}>
        @{name}
      </span>,
    )
    rest = rest.slice(at + 1 + name.length)
    from = 0
  }
  parts.push(rest)
  return parts
}

function Code({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  async function copy() {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      // Refused, or a page that may not: the words can still be selected.
      return
    }
    setCopied(true)
    setTimeout(() => setCopied(false), 2_000)
  }
  return (
    <span className={styles.block} dir="ltr">
      <code className={styles.lines}>{text}</code>
      <button
        type="button"
        className={styles.copy}
        aria-label={copied ? t('Copied') : t('Copy code')}
        title={t('Copy code')}
        onClick={copy}
      >
        {copied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
      </button>
    </span>
  )
}
