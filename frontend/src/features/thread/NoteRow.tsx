import { memo, useEffect } from 'react'
import { useStore } from 'zustand'
import { listed, t } from '../../lib/i18n'
import { fullTime } from '../../lib/time'
import { useMe, useServices } from '../../stores/context'
import type { Note } from '../../stores/notes'
import styles from './MessageLog.module.css'

/** Names said before the others are counted. */
const NAMED = 3

/** A line about who came, went or renamed. */
export const NoteRow = memo(function NoteRow({ note }: { note: Note }) {
  const { people } = useServices()
  const me = useMe()
  const who = [...(note.actor === null ? [] : [note.actor]), ...note.users.slice(0, NAMED + 1)]
  const asked = who.join()
  useEffect(() => {
    for (const id of asked.split(',')) if (id) people.ask(Number(id))
  }, [asked, people])
  const names = useStore(people.state, (now) => now.names)
  const name = (id: number, you = t('You')) => (id === me.id ? you : (names[id] ?? t('Unknown person')))
  const actor = note.actor === null ? t('System') : name(note.actor)
  const isDone = note.what !== 'joined' && note.what !== 'left'
  const all = note.users.map((id) => name(id, isDone ? t('you') : t('You')))
  const rest = all.length - NAMED
  const users =
    rest > 1 ? listed([...all.slice(0, NAMED), t('{count} others', { count: rest })]) : listed(all)
  return (
    <li className={styles.note} title={fullTime(note.at)}>
      <bdi>{said(note, actor, users)}</bdi>
    </li>
  )
})

function said({ what, title = '' }: Note, actor: string, users: string): string {
  switch (what) {
    case 'created':
      return users === ''
        ? t('{actor} created the group', { actor })
        : t('{actor} created the group with {users}', { actor, users })
    case 'joined':
      return t('{users} joined', { users })
    case 'added':
      return t('{actor} added {users}', { actor, users })
    case 'left':
      return t('{users} left', { users })
    case 'removed':
      return t('{actor} removed {users}', { actor, users })
    default:
      return t('{actor} named the group “{title}”', { actor, title })
  }
}
