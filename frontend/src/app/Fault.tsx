import { type ReactNode, useEffect } from 'react'
import { Link } from 'wouter'
import { useStore } from 'zustand'
import { language, t } from '../lib/i18n'
import { useServices } from '../stores/context'
import { Boundary } from '../ui/Boundary'
import { Button } from '../ui/Button'
import styles from './App.module.css'

/** Where the screens cannot go on: a calm page instead of a blank one. The stores live outside and lose nothing. */
export const FaultBoundary = ({ children }: { children: ReactNode }) => (
  <Boundary instead={<FaultPage />}>{children}</Boundary>
)

function FaultPage() {
  useStore(language)
  return (
    <main>
      <div className={styles.center} role="alert">
        <h1 className={styles.title}>{t('Something went wrong')}</h1>
        <p>{t('What you wrote is kept on this device. Reload the page to go on.')}</p>
        <Reload />
      </div>
    </main>
  )
}

const Reload = () => (
  <Button tone="primary" onClick={() => location.reload()}>
    {t('Reload')}
  </Button>
)

/** One of the panes cannot go on; the other one does. */
export function PaneFault({ title, away = false }: { title: string; away?: boolean }) {
  return (
    <div className={styles.pane} role="alert">
      <h2 className={styles.title}>{title}</h2>
      <p>{t('What you wrote is kept on this device.')}</p>
      <p className={styles.choice}>
        <Reload />
        {away && (
          <Link href="/" className={styles.away ?? ''}>
            {t('Back to conversations')}
          </Link>
        )}
      </p>
    </div>
  )
}

/** A dialog that cannot be drawn is gone, and that is said. */
export function OverlayFault({ onClose }: { onClose(): void }) {
  const { toasts } = useServices()
  useEffect(() => {
    toasts.show(t('That could not be opened. Reload the page and try again.'))
    onClose()
  }, [toasts, onClose])
  return null
}

/** Says where it happened alone: what was thrown may quote a message. */
export function logFault(error: unknown, { componentStack }: { componentStack?: string | undefined }) {
  const { name, message, stack } = error instanceof Error ? error : new Error()
  const places = stack?.replace(message, '').match(/^ +at .+:\d+:\d+\)?$|^\S*@\S+:\d+:\d+$/gm) ?? []
  console.error('Screen fault', name, ...places.slice(0, 10), componentStack)
}
