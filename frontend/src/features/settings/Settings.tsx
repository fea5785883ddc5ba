import { useState } from 'react'
import { useStore } from 'zustand'
import { LANGUAGES, listed, t } from '../../lib/i18n'
import { type Unsent, useMe, useServices } from '../../stores/context'
import type { Theme } from '../../stores/preferences'
import { Avatar } from '../../ui/Avatar'
import { Button } from '../../ui/Button'
import { ConfirmDialog } from '../../ui/ConfirmDialog'
import { Dialog } from '../../ui/Dialog'
import styles from './Settings.module.css'

const THEMES: readonly { id: Theme; name: string }[] = [
  { id: 'system', name: 'System' },
  { id: 'light', name: 'Light' },
  { id: 'dark', name: 'Dark' },
]

export function Settings({ onClose }: { onClose(): void }) {
  const { preferences, account } = useServices()
  const me = useMe()
  const chosen = useStore(preferences.state)
  const [error, setError] = useState<string | null>(null)
  const [unsent, setUnsent] = useState<Unsent | null>(null)
  const notifies = typeof Notification !== 'undefined'
  const refused = notifies && Notification.permission === 'denied'

  async function setNotify(on: boolean) {
    if (on && (await Notification.requestPermission()) !== 'granted')
      return preferences.set({ notify: false })
    preferences.set({ notify: on })
  }

  async function logout() {
    try {
      await account.logout()
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : ''
      throw new Error(`${t('You are still logged in.')} ${why}`)
    }
  }

  /** At once, unless something would be lost that nobody has yet. */
  async function wish() {
    setError(null)
    const lost = await account.unsent()
    if (lost.messages + lost.drafts > 0) return setUnsent(lost)
    await logout().catch((cause) => setError(cause.message))
  }

  return (
    <Dialog title={t('Settings')} onClose={onClose}>
      <div className={styles.me}>
        <Avatar id={me.id} name={me.name} />
        <p className={`${styles.name} one-line`} dir="auto">
          {me.name}
        </p>
      </div>
      <fieldset className={styles.set}>
        <legend>{t('Appearance')}</legend>
        <div className={styles.choices}>
          {THEMES.map(({ id, name }) => (
            <label key={id} className={styles.choice}>
              <input
                type="radio"
                name="theme"
                checked={chosen.theme === id}
                onChange={() => preferences.set({ theme: id })}
              />
              {t(name)}
            </label>
          ))}
        </div>
      </fieldset>
      <fieldset className={styles.set}>
        <legend>{t('Language')}</legend>
        <div className={styles.choices}>
          {LANGUAGES.map(({ id, name }) => (
            <label key={id} className={styles.choice} lang={id}>
              <input
                type="radio"
                name="language"
                checked={chosen.language === id}
                onChange={() => preferences.set({ language: id })}
              />
              {name}
            </label>
          ))}
        </div>
      </fieldset>
      {notifies && (
        <fieldset className={styles.set}>
          <legend>{t('Notifications')}</legend>
          <label className={styles.check}>
            <input
              type="checkbox"
              checked={chosen.notify && !refused}
              disabled={refused}
              onChange={(event) => void setNotify(event.target.checked)}
            />
            {t('Tell me about new messages while this page is not in front')}
          </label>
          {refused && <p className={styles.note}>{t('The browser blocks notifications of this page.')}</p>}
        </fieldset>
      )}
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      <Button onClick={wish}>{t('Log out')}</Button>
      <p className={styles.note}>
        {t('Logging out ends it in all tabs and clears what is kept on this device.')}
      </p>
      {unsent && (
        <ConfirmDialog
          title={t('Log out and lose what is not sent?')}
          text={lostText(unsent)}
          action={t('Log out')}
          onConfirm={logout}
          onClose={() => setUnsent(null)}
        />
      )}
    </Dialog>
  )
}

function lostText({ messages, drafts }: Unsent): string {
  const parts = []
  if (messages > 0)
    parts.push(messages === 1 ? t('1 unsent message') : t('{count} unsent messages', { count: messages }))
  if (drafts > 0) parts.push(drafts === 1 ? t('1 draft') : t('{count} drafts', { count: drafts }))
  return t('Not sent yet: {what}. Only this device has that, and logging out deletes it.', {
    what: listed(parts),
  })
}
