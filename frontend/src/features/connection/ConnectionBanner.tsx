import { PlugZap, WifiOff } from 'lucide-react'
import type { ReactNode } from 'react'
import { useStore } from 'zustand'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { Spinner } from '../../ui/Spinner'
import styles from './ConnectionBanner.module.css'

/** Floats over the page, so that coming and going moves nothing. */
export function ConnectionBanner() {
  const { connection } = useServices()
  const state = useStore(connection.state)
  const retrying = state.name === 'waiting' || ('attempt' in state && state.attempt > 0)
  const start = () => connection.dispatch({ type: 'start', online: navigator.onLine })

  return (
    <div className={styles.place} role="status">
      {state.name === 'offline' && (
        <Banner icon={<WifiOff size={16} aria-hidden />}>{t('You are offline. Messages will wait.')}</Banner>
      )}
      {retrying && (
        <Banner icon={<Spinner />}>
          {t('Connection lost. Reconnecting…')}
          {state.name === 'waiting' && state.attempt > 2 && (
            <Now onClick={() => connection.dispatch({ type: 'online' })}>{t('Try now')}</Now>
          )}
        </Banner>
      )}
      {state.name === 'stopped' && state.reason !== 'expired' && (
        <Banner icon={<PlugZap size={16} aria-hidden />}>
          {state.reason === 'elsewhere'
            ? t('This chat is open in too many places.')
            : t('The server ended the connection.')}
          <Now onClick={start}>{state.reason === 'elsewhere' ? t('Use it here') : t('Connect again')}</Now>
        </Banner>
      )}
    </div>
  )
}

function Banner({ icon, children }: { icon: ReactNode; children: ReactNode }) {
  return (
    <p className={styles.banner}>
      {icon}
      {children}
    </p>
  )
}

function Now({ onClick, children }: { onClick(): void; children: ReactNode }) {
  return (
    <button type="button" className={styles.now} onClick={onClick}>
      {children}
    </button>
  )
}
