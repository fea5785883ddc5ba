import { type SubmitEvent, useState } from 'react'
import { useLocation } from 'wouter'
import type { User } from '../../api/protocol'
import { t } from '../../lib/i18n'
import { useMe, useServices } from '../../stores/context'
import { Button } from '../../ui/Button'
import { Dialog } from '../../ui/Dialog'
import { Field } from '../../ui/Field'
import styles from './Group.module.css'
import { PeoplePicker } from './PeoplePicker'

export function NewGroup({ onClose }: { onClose(): void }) {
  const { actions } = useServices()
  const me = useMe()
  const [, navigate] = useLocation()
  const [title, setTitle] = useState('')
  const [picked, setPicked] = useState<readonly User[]>([])
  const [error, setError] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)

  async function submit(event: SubmitEvent) {
    event.preventDefault()
    if (busy) return
    if (!title.trim()) return setError(t('A group needs a name.'))
    setBusy(true)
    setError(null)
    try {
      const members = picked.map((user) => ({ user: user.id }))
      const { conversation } = await actions.write('create', { title: title.trim(), members })
      onClose()
      if (conversation !== undefined) navigate(`/c/${conversation}`, { state: { fromList: true } })
    } catch (cause) {
      setBusy(false)
      setError(cause instanceof Error ? cause.message : String(cause))
    }
  }

  return (
    <Dialog title={t('New group')} onClose={onClose}>
      <form className={styles.form} onSubmit={submit}>
        <Field
          label={t('Name of the group')}
          maxLength={120}
          dir="auto"
          autoComplete="off"
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          error={error}
        />
        <PeoplePicker picked={picked} onChange={setPicked} without={new Set([me.id])} />
        <div className={styles.actions}>
          <Button onClick={onClose}>{t('Cancel')}</Button>
          <Button type="submit" tone="primary" busy={busy}>
            {t('Create group')}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
