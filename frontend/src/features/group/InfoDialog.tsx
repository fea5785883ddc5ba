import { Crown, EllipsisVertical, Pencil, Shield, ShieldOff, UserMinus, UserPlus } from 'lucide-react'
import { type SubmitEvent, useEffect, useState } from 'react'
import { useStore } from 'zustand'
import type { Entry, Member, Role, User } from '../../api/protocol'
import { membersText, t } from '../../lib/i18n'
import { useMe, useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { Button, IconButton } from '../../ui/Button'
import { ConfirmDialog } from '../../ui/ConfirmDialog'
import { Dialog } from '../../ui/Dialog'
import { Field } from '../../ui/Field'
import { Menu, MenuItem, type Origin, originOf } from '../../ui/Menu'
import { Spinner } from '../../ui/Spinner'
import styles from './Group.module.css'
import { PeoplePicker } from './PeoplePicker'

interface Props {
  entry: Entry
  name: string
  avatarId: number
  onClose(): void
}

const ROLES: Record<Role, string> = { owner: 'Owner', admin: 'Admin', member: 'Member' }
const RANK: Record<Role, number> = { owner: 0, admin: 1, member: 2 }

/** Who is in a conversation, and for those who may, what can be changed about it. */
export function InfoDialog({ entry, name, avatarId, onClose }: Props) {
  const { actions, members, people } = useServices()
  const me = useMe()
  const { id, kind, managed } = entry.conversation
  const isGroup = kind === 'group'
  const role = entry.me.role
  const governs = isGroup && !managed && (role === 'owner' || role === 'admin')
  const list = useStore(members.state, (state) => state.members[id])
  const names = useStore(people.state, (state) => state.names)
  const [mode, setMode] = useState<'look' | 'rename' | 'add' | 'leave'>('look')
  const [error, setError] = useState<string | null>(null)
  const [menu, setMenu] = useState<{ member: Member; origin: Origin } | null>(null)
  const [heir, setHeir] = useState<number | null>(null)

  // Events change who is there; the list is asked again with each of them.
  const { head } = entry
  // biome-ignore lint/correctness/useExhaustiveDependencies: `head` is what changes
  useEffect(() => {
    members.load(id).catch((cause) => setError(cause instanceof Error ? cause.message : String(cause)))
  }, [id, head, members])
  useEffect(() => {
    for (const member of list ?? []) people.ask(member.user)
  }, [list, people])

  async function run(work: () => Promise<unknown>, done?: () => void) {
    setError(null)
    try {
      await work()
      done?.()
      await members.load(id)
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause))
    }
  }

  const nameOf = (user: number) => (user === me.id ? t('You') : (names[user] ?? t('Unknown person')))
  const sorted = [...(list ?? [])].sort(
    (a, b) =>
      RANK[a.role ?? 'member'] - RANK[b.role ?? 'member'] || nameOf(a.user).localeCompare(nameOf(b.user)),
  )
  const may = (member: Member) =>
    governs && member.user !== me.id && (role === 'owner' || member.role === 'member')
  // Somebody has to own what is left behind.
  const handsOver = role === 'owner' && sorted.length > 1
  const setRole = (user: number, to: Role) =>
    run(() => actions.write('set_role', { conversation: id, user, role: to }))

  return (
    <Dialog title={isGroup ? t('Group info') : t('Info')} onClose={onClose}>
      <div className={styles.head}>
        <Avatar id={avatarId} name={name} group={isGroup} />
        {mode === 'rename' ? (
          <Rename
            name={name}
            onCancel={() => setMode('look')}
            onSave={(title) =>
              run(
                () => actions.write('configure', { conversation: id, title }),
                () => setMode('look'),
              )
            }
          />
        ) : (
          <p className={styles.title} dir="auto">
            {name}
          </p>
        )}
        {isGroup && <p className={styles.role}>{membersText(entry.conversation.members)}</p>}
        {governs && mode === 'look' && (
          <div className={styles.governs}>
            <Button onClick={() => setMode('rename')}>
              <Pencil size={15} aria-hidden />
              {t('Rename')}
            </Button>
            <Button onClick={() => setMode('add')}>
              <UserPlus size={16} aria-hidden />
              {t('Add people')}
            </Button>
          </div>
        )}
      </div>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      {mode === 'add' ? (
        <AddPeople
          there={new Set((list ?? []).map((member) => member.user))}
          onCancel={() => setMode('look')}
          onAdd={(users) =>
            run(
              () => actions.write('add', { conversation: id, users: users.map((user) => user.id) }),
              () => setMode('look'),
            )
          }
        />
      ) : (
        <>
          {list === undefined ? (
            <p className={styles.none} role="status">
              <Spinner />
            </p>
          ) : (
            <ul aria-label={t('Members')}>
              {sorted.map((member) => (
                <li key={member.user} className={styles.person}>
                  <Avatar id={member.user} name={names[member.user] ?? '?'} small />
                  <span className={styles.who}>
                    <span className="one-line" dir="auto">
                      {nameOf(member.user)}
                    </span>
                    {isGroup && member.role !== 'member' && (
                      <span className={styles.role}>{t(ROLES[member.role ?? 'member'])}</span>
                    )}
                  </span>
                  {may(member) && (
                    <IconButton
                      label={t('Actions for {name}', { name: nameOf(member.user) })}
                      aria-haspopup="menu"
                      onClick={(event) => setMenu({ member, origin: originOf(event.currentTarget) })}
                    >
                      <EllipsisVertical size={17} />
                    </IconButton>
                  )}
                </li>
              ))}
            </ul>
          )}
          {isGroup && role !== undefined && (
            <div className={styles.leave}>
              {mode === 'leave' && handsOver ? (
                <p className={styles.role}>{t('Make somebody else the owner first, then leave.')}</p>
              ) : (
                <Button onClick={() => setMode('leave')}>{t('Leave group')}</Button>
              )}
            </div>
          )}
        </>
      )}
      {menu && (
        <Menu label={t('Actions')} origin={menu.origin} onClose={() => setMenu(null)}>
          {role === 'owner' && (
            <>
              {menu.member.role === 'admin' ? (
                <MenuItem
                  icon={<ShieldOff size={17} />}
                  onPick={() => {
                    setMenu(null)
                    void setRole(menu.member.user, 'member')
                  }}
                >
                  {t('Make a plain member')}
                </MenuItem>
              ) : (
                <MenuItem
                  icon={<Shield size={17} />}
                  onPick={() => {
                    setMenu(null)
                    void setRole(menu.member.user, 'admin')
                  }}
                >
                  {t('Make an admin')}
                </MenuItem>
              )}
              <MenuItem
                icon={<Crown size={17} />}
                onPick={() => {
                  setMenu(null)
                  setHeir(menu.member.user)
                }}
              >
                {t('Hand the group over')}
              </MenuItem>
            </>
          )}
          <MenuItem
            icon={<UserMinus size={17} />}
            danger
            onPick={() => {
              setMenu(null)
              void run(() => actions.write('remove', { conversation: id, user: menu.member.user }))
            }}
          >
            {t('Remove from the group')}
          </MenuItem>
        </Menu>
      )}
      {heir !== null && (
        <ConfirmDialog
          title={t('Hand the group over to {name}?', { name: nameOf(heir) })}
          text={t('Only the new owner can give it back.')}
          action={t('Hand the group over')}
          onConfirm={async () => {
            await actions.write('set_role', { conversation: id, user: heir, role: 'owner' })
            setHeir(null)
          }}
          onClose={() => setHeir(null)}
        />
      )}
      {mode === 'leave' && !handsOver && (
        <ConfirmDialog
          title={t('Leave {name}?', { name })}
          text={t('You get no more of its messages until somebody adds you again.')}
          action={t('Leave group')}
          onConfirm={async () => {
            await actions.write('leave', { conversation: id })
            onClose()
          }}
          onClose={() => setMode('look')}
        />
      )}
    </Dialog>
  )
}

function Rename({ name, onSave, onCancel }: { name: string; onSave(name: string): void; onCancel(): void }) {
  const [title, setTitle] = useState(name)
  function submit(event: SubmitEvent) {
    event.preventDefault()
    if (title.trim()) onSave(title.trim())
  }
  return (
    <form className={styles.rename} onSubmit={submit}>
      <Field
        label={t('Name of the group')}
        maxLength={120}
        dir="auto"
        autoFocus
        autoComplete="off"
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        error={null}
      />
      <Button type="submit" tone="primary">
        {t('Save')}
      </Button>
      <Button onClick={onCancel}>{t('Cancel')}</Button>
    </form>
  )
}

interface AddProps {
  there: ReadonlySet<number>
  onAdd(users: readonly User[]): void
  onCancel(): void
}

function AddPeople({ there, onAdd, onCancel }: AddProps) {
  const [picked, setPicked] = useState<readonly User[]>([])
  return (
    <div className={styles.form}>
      <PeoplePicker picked={picked} onChange={setPicked} without={there} />
      <div className={styles.actions}>
        <Button onClick={onCancel}>{t('Cancel')}</Button>
        <Button tone="primary" disabled={picked.length === 0} onClick={() => onAdd(picked)}>
          {t('Add')}
        </Button>
      </div>
    </div>
  )
}
