import { Search, X } from 'lucide-react'
import { type KeyboardEvent, lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react'
import { useStore } from 'zustand'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { IconButton } from '../../ui/Button'
import type { Results as Handle } from './Results'
import styles from './SearchBox.module.css'
import { useConversationName } from './useConversationName'

const load = () => import('./Results')
const Results = lazy(() => load().then((m) => ({ default: m.Results })))

interface Props {
  /** Search in this conversation only. */
  within: number | null
  onLeave(): void
  /** A message was picked: it is shown. */
  onShow(): void
  children: ReactNode
}

/** The search box; while it has text, what is found takes the place of `children`. */
export function SearchBox({ within, onLeave, onShow, children }: Props) {
  const { connection } = useServices()
  const [text, setText] = useState('')
  const input = useRef<HTMLInputElement>(null)
  const results = useRef<Handle>(null)
  const searches = useStore(connection.greeting, () => connection.offers('search'))
  const withinName = useConversationName(within ?? 0)
  const wanted = text.trim()
  const isWithin = within !== null

  useEffect(() => {
    if (within === null) return
    setText('')
    input.current?.focus()
  }, [within])

  function clear() {
    setText('')
    if (isWithin && !text) onLeave()
    input.current?.focus()
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape' && (text || isWithin)) {
      event.preventDefault()
      clear()
    } else if (event.key === 'ArrowDown' && results.current) {
      event.preventDefault()
      results.current.focus()
    } else if (event.key === 'Enter') results.current?.take()
  }

  const label = isWithin
    ? t('Search in {name}', { name: withinName })
    : searches
      ? t('Search people and messages')
      : t('Find people')
  return (
    <>
      <search className={styles.box}>
        <Search size={17} className={styles.glass ?? ''} aria-hidden />
        <input
          ref={input}
          id="search"
          className={styles.input}
          type="search"
          aria-label={label}
          placeholder={label}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={200}
          dir="auto"
          value={text}
          // What draws the results is here by the time that they are.
          onFocus={() => void load().catch(() => {})}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {(text || isWithin) && (
          <IconButton label={t('Clear search')} className={styles.clear ?? ''} onClick={clear}>
            <X size={16} />
          </IconButton>
        )}
      </search>
      {wanted === '' && !isWithin ? (
        children
      ) : (
        <Suspense>
          <Results
            ref={results}
            wanted={wanted}
            within={within}
            onDone={() => setText('')}
            onShow={onShow}
            onEscape={clear}
            onLeaveUp={() => input.current?.focus()}
          />
        </Suspense>
      )}
    </>
  )
}
