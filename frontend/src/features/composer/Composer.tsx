import { SendHorizontal } from 'lucide-react'
import { type KeyboardEvent, type SubmitEvent, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useServices } from '../../stores/context'
import styles from './Composer.module.css'
import { composerAction } from './composerKeys'

const growsByItself = typeof CSS !== 'undefined' && CSS.supports('field-sizing', 'content')
const touchOnly = () => matchMedia('(pointer: coarse)').matches

/** Given a `key` by thread: each has its own draft. */
export function Composer({ draftKey, onSend }: { draftKey: string; onSend(content: string): void }) {
  const { drafts } = useServices()
  const [text, setText] = useState(() => drafts.get(draftKey))
  const area = useRef<HTMLTextAreaElement>(null)

  useEffect(() => {
    // On a phone the keyboard would jump up before the thread was read.
    if (!touchOnly()) area.current?.focus()
  }, [])

  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useLayoutEffect(() => {
    const element = area.current
    if (growsByItself || !element) return
    element.style.height = 'auto'
    element.style.height = `${element.scrollHeight}px`
  }, [text])

  function change(next: string) {
    setText(next)
    drafts.set(draftKey, next)
  }

  function send() {
    const content = text.trim()
    if (!content) return
    onSend(content)
    change('')
    area.current?.focus()
  }

  function onKeyDown(event: KeyboardEvent) {
    if (composerAction(event.nativeEvent, touchOnly()) !== 'send') return
    event.preventDefault()
    send()
  }

  function onSubmit(event: SubmitEvent) {
    event.preventDefault()
    send()
  }

  return (
    <form className={styles.composer} onSubmit={onSubmit}>
      <textarea
        ref={area}
        className={styles.area}
        aria-label="Message"
        placeholder="Write a message"
        rows={1}
        dir="auto"
        value={text}
        onChange={(event) => change(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <button type="submit" className={styles.send} aria-label="Send" title="Send" disabled={!text.trim()}>
        <SendHorizontal size={20} className={styles.plane ?? ''} aria-hidden />
      </button>
    </form>
  )
}
