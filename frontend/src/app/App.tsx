import { lazy, Suspense } from 'react'
import { useStore } from 'zustand'
import { language, t } from '../lib/i18n'
import { UserContext, useServices } from '../stores/context'
import { lastUser } from '../stores/session'
import { Button } from '../ui/Button'
import { Spinner } from '../ui/Spinner'
import styles from './App.module.css'
import { Shell } from './Shell'

const loadAuth = () => import('../features/auth/AuthPage')
const AuthPage = lazy(() => loadAuth().then((m) => ({ default: m.AuthPage })))
// Where nobody was logged in they most likely are not now: it comes while the server is asked.
if (lastUser.get() === null) void loadAuth().catch(() => {})

export function App() {
  const { session, account } = useServices()
  const state = useStore(session)
  const { id: lang } = useStore(language)

  if (state.status === 'checking') return <Loading />
  if (state.status === 'unreachable') {
    return (
      <main className={styles.center}>
        <h1 className={styles.title}>{t('The server cannot be reached')}</h1>
        <p>{t('Check your connection, then try again.')}</p>
        <Button tone="primary" onClick={() => account.check()}>
          {t('Try again')}
        </Button>
      </main>
    )
  }
  // The address stays as it is: after the log in one is where one wanted to be.
  if (state.status === 'anonymous') {
    return (
      <Suspense fallback={<Loading />}>
        <AuthPage key={lang} notice={state.notice} />
      </Suspense>
    )
  }
  return (
    <UserContext value={state.user}>
      <Shell key={`${state.user.id}.${lang}`} />
    </UserContext>
  )
}

function Loading() {
  return (
    <main className={styles.center} role="status">
      <Spinner />
      <span className="visually-hidden">{t('Loading')}</span>
    </main>
  )
}
