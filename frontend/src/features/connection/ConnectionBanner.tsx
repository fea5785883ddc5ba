import { WifiOff } from 'lucide-react'
import { useStore } from 'zustand'
import { useServices } from '../../stores/context'
import { Spinner } from '../../ui/Spinner'
import styles from './ConnectionBanner.module.css'

/** Floats over the page, so that coming and going moves nothing. */
export function ConnectionBanner() {
  const { connection } = useServices()
  const state = useStore(connection.state)
  const retrying = state.name === 'waiting' || (state.name === 'connecting' && state.attempt > 0)

  return (
    <div className={styles.place} role="status">
      {state.name === 'offline' && (
        <p className={styles.banner}>
          <WifiOff size={16} aria-hidden />
          You are offline. Messages will wait.
        </p>
      )}
      {retrying && (
        <p className={styles.banner}>
          <Spinner />
          Connection lost. Reconnecting…
          {state.name === 'waiting' && state.attempt > 2 && (
            <button
              type="button"
              className={styles.now}
              onClick={() => connection.dispatch({ type: 'online' })}
            >
              Try now
            </button>
          )}
        </p>
      )}
    </div>
  )
}
