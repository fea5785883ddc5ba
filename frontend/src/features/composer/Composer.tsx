import { Check, SendHorizontal, Smile, X } from 'lucide-react'
import {
  type KeyboardEvent,
  lazy,
  type ReactNode,
  type SubmitEvent,
  Suspense,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { IconButton } from '../../ui/Button'
import { Menu, type Origin, originOf } from '../../ui/Menu'
import { Spinner } from '../../ui/Spinner'
import styles from './Composer.module.css'
import { composerAction } from './composerKeys'
import { mentionAt, mentionsIn, type Named, suggestions } from './mentions'

const EmojiPicker = lazy(() => import('../emoji/EmojiPicker'))

const growsByItself = typeof CSS !== 'undefined' && CSS.supports('field-sizing', 'content')
const touchOnly = () => matchMedia('(pointer: coarse)').matches

export interface Editing {
  id: number
  text: string
}

interface Props {
  draftKey: string
  /** Whose names may be written with an @. */
  people: readonly Named[]
  /** The message that is answered, drawn. */
  quote: ReactNode | null
  /** The message of one's own that is changed; given a new `key` with it. */
  editing: Editing | null
  /** What went wrong with the change. */
  trouble: ReactNode | null
  maxBytes: number | null
  onSend(text: string, mentions: number[]): void
  onSave(text: string): void
  /** Takes away the reply or the edit. */
  onCancel(): void
  onEditLast(): void
  onTyping(): void
}

const NEAR_LIMIT = 0.9
const encoder = new TextEncoder()

/** Given a `key` by thread and by edit: each has its own text. */
export function Composer(props: Props) {
  const { draftKey, people, quote, editing, trouble, maxBytes, onCancel, onEditLast, onTyping } = props
  const { drafts } = useServices()
  const [text, setText] = useState(() => editing?.text ?? drafts.get(draftKey)?.text ?? '')
  const [caret, setCaret] = useState(0)
  const [choice, setChoice] = useState(0)
  const [shut, setShut] = useState<number | null>(null)
  const [emoji, setEmoji] = useState<Origin | null>(null)
  const area = useRef<HTMLTextAreaElement>(null)
  const listId = useId()

  useEffect(() => {
    // On a phone the keyboard would jump up before the thread was read.
    if (!touchOnly() || editing) area.current?.focus()
    const end = area.current?.value.length ?? 0
    area.current?.setSelectionRange(end, end)
  }, [editing])

  // Answering is a wish to write.
  const answers = quote !== null
  useEffect(() => {
    if (answers) area.current?.focus()
  }, [answers])

  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useLayoutEffect(() => {
    const element = area.current
    if (growsByItself || !element) return
    element.style.height = 'auto'
    element.style.height = `${element.scrollHeight}px`
  }, [text])

  const mention = people.length > 0 ? mentionAt(text, caret) : null
  const offered = mention && shut !== mention.from ? suggestions(people, mention.part) : []
  const chosen = Math.min(choice, offered.length - 1)

  function change(next: string) {
    setText(next)
    if (!editing) {
      drafts.set(draftKey, { text: next, replyTo: drafts.get(draftKey)?.replyTo ?? null })
      if (next) onTyping()
    }
  }

  /** Puts words where the caret is, and the caret after them. */
  function insert(words: string, from: number, to: number) {
    change(text.slice(0, from) + words + text.slice(to))
    const place = from + words.length
    requestAnimationFrame(() => {
      area.current?.focus()
      area.current?.setSelectionRange(place, place)
      setCaret(place)
    })
  }

  function take(person: Named) {
    if (mention) insert(`@${person.name} `, mention.from, caret)
    setChoice(0)
  }

  const bytes = maxBytes !== null && text.length * 4 > maxBytes * NEAR_LIMIT ? encoder.encode(text).length : 0
  const tooLong = maxBytes !== null && bytes > maxBytes

  function send() {
    const content = text.trim()
    if (!content || tooLong) return
    if (editing) {
      if (content === editing.text) onCancel()
      else props.onSave(content)
      return
    }
    props.onSend(content, mentionsIn(content, people))
    setText('')
    drafts.set(draftKey, null)
    area.current?.focus()
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    if (offered.length > 0) {
      const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 }
      const by = moves[event.key]
      if (by !== undefined) {
        event.preventDefault()
        setChoice((chosen + by + offered.length) % offered.length)
        return
      }
      const person = offered[chosen]
      if ((event.key === 'Enter' || event.key === 'Tab') && person) {
        event.preventDefault()
        take(person)
        return
      }
      if (event.key === 'Escape') {
        event.preventDefault()
        setShut(mention?.from ?? null)
        return
      }
    }
    if (event.key === 'Escape' && (quote || editing)) {
      event.preventDefault()
      onCancel()
    } else if (event.key === 'ArrowUp' && text === '' && !editing) {
      event.preventDefault()
      onEditLast()
    } else if (composerAction(event.nativeEvent, touchOnly()) === 'send') {
      event.preventDefault()
      send()
    }
  }

  function onSubmit(event: SubmitEvent) {
    event.preventDefault()
    send()
  }

  return (
    <form className={styles.composer} onSubmit={onSubmit}>
      {(quote || editing) && (
        <div className={styles.above}>
          <div className={styles.subject}>
            {editing ? <p className={styles.editing}>{t('Edit message')}</p> : quote}
          </div>
          <IconButton label={editing ? t('Cancel the edit') : t('Cancel the reply')} onClick={onCancel}>
            <X size={18} />
          </IconButton>
        </div>
      )}
      {trouble}
      {offered.length > 0 && (
        <div id={listId} className={styles.people} role="listbox" aria-label={t('People')}>
          {offered.map((person, place) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the text field's
            <div
              key={person.id}
              id={`${listId}-${place}`}
              role="option"
              tabIndex={-1}
              aria-selected={place === chosen}
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => take(person)}
            >
              <Avatar id={person.id} name={person.name} small />
              <span className="one-line" dir="auto">
                {person.name}
              </span>
            </div>
          ))}
        </div>
      )}
      <div className={styles.line}>
        <div className={styles.field}>
          <textarea
            ref={area}
            className={styles.area}
            aria-label={t('Message')}
            placeholder={t('Write a message')}
            rows={1}
            dir="auto"
            value={text}
            aria-controls={offered.length > 0 ? listId : undefined}
            aria-activedescendant={offered.length > 0 ? `${listId}-${chosen}` : undefined}
            aria-invalid={tooLong}
            onChange={(event) => {
              change(event.target.value)
              setCaret(event.target.selectionStart)
              setChoice(0)
            }}
            onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
            onKeyDown={onKeyDown}
          />
          <IconButton
            label={t('Emoji')}
            aria-haspopup="dialog"
            className={styles.smile ?? ''}
            onClick={(event) => setEmoji(originOf(event.currentTarget))}
          >
            <Smile size={20} />
          </IconButton>
        </div>
        <button
          type="submit"
          className={styles.send}
          aria-label={editing ? t('Save') : t('Send')}
          title={editing ? t('Save') : t('Send')}
          disabled={!text.trim() || tooLong}
        >
          {editing ? (
            <Check size={20} aria-hidden />
          ) : (
            <SendHorizontal size={20} className="mirrored" aria-hidden />
          )}
        </button>
      </div>
      {tooLong && (
        <p className={styles.trouble} role="alert">
          {t('This is too long for one message: {over} bytes too many.', { over: bytes - (maxBytes ?? 0) })}
        </p>
      )}
      {emoji && (
        <Menu label={t('Emoji')} role="dialog" origin={emoji} onClose={() => setEmoji(null)}>
          <Suspense fallback={<Spinner />}>
            <EmojiPicker
              onPick={(one) => {
                setEmoji(null)
                const { selectionStart = text.length, selectionEnd = text.length } = area.current ?? {}
                insert(one, selectionStart, selectionEnd)
              }}
            />
          </Suspense>
        </Menu>
      )}
    </form>
  )
}
