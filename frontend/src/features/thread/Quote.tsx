import { useEffect } from 'react'
import { useStore } from 'zustand'
import type { Message } from '../../api/protocol'
import { t } from '../../lib/i18n'
import { plain } from '../../lib/markdown'
import { useMe, useServices } from '../../stores/context'
import { rangeWith } from '../../stores/ranges'
import styles from './Quote.module.css'

/** A message that another one points at: loaded, or asked for. Undefined while that is on its way. */
export function useQuoted(conversation: number | null, id: number | null): Message | null | undefined {
  const { threads, quotes } = useServices()
  const here = useStore(threads.state, (state) => {
    const ranges = conversation === null ? undefined : state.threads[conversation]?.ranges
    return id === null ? undefined : rangeWith(ranges ?? [], id)?.items.find((item) => item.id === id)
  })
  const asked = useStore(quotes.state, (state) =>
    conversation === null || id === null ? undefined : state.quotes.get(quotes.name(conversation, id)),
  )
  useEffect(() => {
    if (!here && conversation !== null && id !== null) quotes.need(conversation, id)
  }, [here, conversation, id, quotes])
  return here ?? asked
}

export function useName(id: number | null): string {
  const { people } = useServices()
  const me = useMe()
  const known = useStore(people.state, ({ names }) => (id === null ? undefined : names[id]))
  useEffect(() => {
    if (known === undefined && id !== null) people.ask(id)
  }, [known, people, id])
  if (id === null) return t('System')
  return id === me.id ? t('You') : (known ?? t('Unknown person'))
}

interface Props {
  conversation: number | null
  id: number
  onPick?(id: number): void
}

export function Quote({ conversation, id, onPick }: Props) {
  const message = useQuoted(conversation, id)
  const name = useName(message?.sender ?? null)
  const text =
    message === null
      ? t('Message not found')
      : message?.deleted
        ? t('Message deleted')
        : plain((message?.text ?? '').slice(0, 300))
  const inside = (
    <>
      <span className={`${styles.name} one-line`} dir="auto">
        {message ? name : t('Reply')}
      </span>
      <span className={`${styles.text} one-line`} dir="auto">
        {text}
      </span>
    </>
  )
  if (!onPick || !message) return <span className={styles.quote}>{inside}</span>
  return (
    <button type="button" className={styles.quote} onClick={() => onPick(id)} title={t('Show the message')}>
      {inside}
    </button>
  )
}
