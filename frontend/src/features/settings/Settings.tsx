import { useState } from 'react'
import { useStore } from 'zustand'
import { LANGUAGES, t } from '../../lib/i18n'
import { useMe, useServices } from '../../stores/context'
import type { Theme } from '../../stores/preferences'
import { Avatar } from '../../ui/Avatar'
import { Button } from '../../ui/Button'
import { Dialog } from '../../ui/Dialog'
import styles from './Settings.module.css'

const THEMES: readonly { id: Theme; name: string }[] = [
  { id: 'system', name: 'Like the system' },
  { id: 'light', name: 'Light' },
  { id: 'dark', name: 'Dark' },
]

export function Settings({ onClose }: { onClose(): void }) {
  const { preferences, account } = useServices()
  const me = useMe()
  const chosen = useStore(preferences.state)
  const [error, setError] = useState<string | null>(null)
  const notifies = typeof Notification !== 'undefined'
  const refused = notifies && Notification.permission === 'denied'

  async function setNotify(on: boolean) {
    if (on && (await Notification.requestPermission()) !== 'granted')
      return preferences.set({ notify: false })
    preferences.set({ notify: on })
  }

  async function logout() {
    setError(null)
    try {
      await account.logout()
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : ''
      setError(`${t('You are still logged in.')} ${why}`)
    }
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
      <Button onClick={logout}>{t('Log out')}</Button>
      <p className={styles.note}>
        {t('Logging out ends it in all tabs and clears what is kept on this device.')}
      </p>
    </Dialog>
  )
}
