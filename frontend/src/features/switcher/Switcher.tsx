import { type KeyboardEvent, useId, useState } from 'react'
import { useLocation } from 'wouter'
import { useStore } from 'zustand'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { avatarId, entryName } from '../../stores/describe'
import { Avatar } from '../../ui/Avatar'
import { Dialog } from '../../ui/Dialog'
import { usePeopleSearch } from '../search/usePeopleSearch'
import styles from './Switcher.module.css'

interface Option {
  key: string
  href: string
  name: string
  avatar: number
  group: boolean
  unread: number
}

const MOST = 8

/** Type a few letters, press Enter: the quickest way to a conversation, or to somebody new. */
export function Switcher({ onClose }: { onClose(): void }) {
  const { conversations, people } = useServices()
  const [, navigate] = useLocation()
  const list = useStore(conversations.state, (state) => state.list)
  const names = useStore(people.state, (state) => state.names)
  const [text, setText] = useState('')
  const [choice, setChoice] = useState(0)
  const id = useId()
  const wanted = text.trim().toLocaleLowerCase()
  const { found } = usePeopleSearch(text.trim())

  const known: Option[] = list
    .filter((entry) => entry.me.listed)
    .map((entry) => ({
      key: `c${entry.conversation.id}`,
      href: `/c/${entry.conversation.id}`,
      name: entryName(entry, names),
      avatar: avatarId(entry),
      group: entry.conversation.kind === 'group',
      unread: entry.me.unread,
    }))
    .filter((option) => option.name.toLocaleLowerCase().includes(wanted))
    .slice(0, MOST)
  const strangers: Option[] = found
    .filter((user) => !conversations.withPeer(user.id)?.me.listed)
    .map((user) => ({
      key: `u${user.id}`,
      href: `/u/${user.id}`,
      name: user.name,
      avatar: user.id,
      group: false,
      unread: 0,
    }))
  const options = [...known, ...(wanted ? strangers : [])].slice(0, MOST + 4)
  const chosen = Math.max(0, Math.min(choice, options.length - 1))

  function go(option: Option) {
    onClose()
    navigate(option.href, { state: { fromList: true, username: option.name } })
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 }
    const by = moves[event.key]
    const option = options[chosen]
    if (by !== undefined && options.length > 0) {
      event.preventDefault()
      setChoice((chosen + by + options.length) % options.length)
    } else if (event.key === 'Enter' && option) {
      event.preventDefault()
      go(option)
    }
  }

  return (
    <Dialog title={t('Go to a conversation')} onClose={onClose} bare>
      <input
        className={styles.input}
        role="combobox"
        aria-label={t('Go to a conversation')}
        aria-expanded={options.length > 0}
        aria-controls={id}
        aria-activedescendant={options.length > 0 ? `${id}-${chosen}` : undefined}
        placeholder={t('Go to…')}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={64}
        dir="auto"
        value={text}
        onChange={(event) => {
          setText(event.target.value)
          setChoice(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div id={id} className={styles.list} role="listbox" aria-label={t('Conversations and people')}>
        {options.map((option, place) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the text field's
          <div
            key={option.key}
            id={`${id}-${place}`}
            role="option"
            tabIndex={-1}
            aria-selected={place === chosen}
            className={styles.option}
            onPointerMove={() => setChoice(place)}
            onClick={() => go(option)}
          >
            <Avatar id={option.avatar} name={option.name} small group={option.group} />
            <span className={`${styles.name} one-line`} dir="auto">
              {option.name}
            </span>
            {option.unread > 0 && <span className={styles.unread}>{option.unread}</span>}
          </div>
        ))}
      </div>
      {options.length === 0 && <p className={styles.none}>{t('Nothing found.')}</p>}
    </Dialog>
  )
}
