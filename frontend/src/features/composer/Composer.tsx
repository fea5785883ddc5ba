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
import { type Mention, mentionAt, mentionsIn, type Named, suggestions } from './mentions'

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

const encoder = new TextEncoder()

/** Given a `key` by thread and by edit: each has its own text. */
export function Composer(props: Props) {
  const { draftKey, people, quote, editing, trouble, maxBytes, onCancel, onEditLast, onTyping } = props
  const { drafts } = useServices()
  const [initial] = useState(() => editing?.text ?? drafts.get(draftKey)?.text ?? '')
  // The field holds the text itself: most keys change nothing else, and then nothing is drawn but their letter.
  const [empty, setEmpty] = useState(() => initial.trim() === '')
  const [over, setOver] = useState(0)
  const [mention, setMention] = useState<Mention | null>(null)
  /** Where the offer of names was sent away. */
  const shut = useRef<number | null>(null)
  const [choice, setChoice] = useState(0)
  const [emoji, setEmoji] = useState<Origin | null>(null)
  const area = useRef<HTMLTextAreaElement>(null)
  const listId = useId()

  // At once: keys that are pressed while one thread takes the place of another are meant for the new one.
  useLayoutEffect(() => {
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

  function grow() {
    const element = area.current
    if (growsByItself || !element) return
    element.style.height = 'auto'
    element.style.height = `${element.scrollHeight}px`
  }
  useLayoutEffect(grow, [])

  const offered = mention ? suggestions(people, mention.part) : []
  const chosen = Math.min(choice, offered.length - 1)

  /** After every change of the text: what depends on it, if that is another now. */
  function changed() {
    const text = area.current?.value ?? ''
    grow()
    setEmpty(text.trim() === '')
    // No letter has more than four bytes: most texts need no counting.
    const near = maxBytes !== null && text.length * 4 > maxBytes
    setOver(near ? Math.max(0, encoder.encode(text).length - maxBytes) : 0)
    look()
    setChoice(0)
    if (editing) return
    drafts.set(draftKey, { text, replyTo: drafts.get(draftKey)?.replyTo ?? null })
    if (text) onTyping()
  }

  /** Whether a name is being written where the caret is. */
  function look() {
    if (people.length === 0 || !area.current) return
    const at = mentionAt(area.current.value, area.current.selectionStart)
    const found = at?.from === shut.current ? null : at
    setMention((old) => (old?.from === found?.from && old?.part === found?.part ? old : found))
  }

  /** Puts words where the caret is, and the caret after them. */
  function insert(words: string, from: number, to: number) {
    area.current?.setRangeText(words, from, to, 'end')
    changed()
    // A menu that closes gives the focus back first.
    requestAnimationFrame(() => area.current?.focus())
  }

  function take(person: Named) {
    if (mention) insert(`@${person.name} `, mention.from, area.current?.selectionEnd ?? mention.from)
    setMention(null)
  }

  function send() {
    const content = area.current?.value.trim() ?? ''
    if (!area.current || !content || over > 0) return
    if (editing) {
      if (content === editing.text) onCancel()
      else props.onSave(content)
      return
    }
    props.onSend(content, mentionsIn(content, people))
    area.current.value = ''
    changed()
    drafts.set(draftKey, null)
    area.current.focus()
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
        shut.current = mention?.from ?? null
        setMention(null)
        return
      }
    }
    if (event.key === 'Escape' && (quote || editing)) {
      event.preventDefault()
      onCancel()
    } else if (event.key === 'ArrowUp' && !event.altKey && area.current?.value === '' && !editing) {
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
            defaultValue={initial}
            aria-controls={offered.length > 0 ? listId : undefined}
            aria-activedescendant={offered.length > 0 ? `${listId}-${chosen}` : undefined}
            aria-invalid={over > 0}
            onInput={changed}
            onSelect={people.length > 0 ? look : undefined}
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
          disabled={empty || over > 0}
        >
          {editing ? (
            <Check size={20} aria-hidden />
          ) : (
            <SendHorizontal size={20} className="mirrored" aria-hidden />
          )}
        </button>
      </div>
      {over > 0 && (
        <p className={styles.trouble} role="alert">
          {t('This is too long for one message: {over} bytes too many.', { over })}
        </p>
      )}
      {emoji && (
        <Menu label={t('Emoji')} role="dialog" origin={emoji} onClose={() => setEmoji(null)}>
          <Suspense fallback={<Spinner />}>
            <EmojiPicker
              onPick={(one) => {
                setEmoji(null)
                if (area.current) insert(one, area.current.selectionStart, area.current.selectionEnd)
              }}
            />
          </Suspense>
        </Menu>
      )}
    </form>
  )
}
