import { Component, type ReactNode } from 'react'
import { useStore } from 'zustand'
import { language, t } from '../lib/i18n'
import { Button } from '../ui/Button'
import styles from './App.module.css'

/** Where the screens cannot go on: a calm page instead of a blank one. The stores live outside and lose nothing. */
export class FaultBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError() {
    return { failed: true }
  }

  override render() {
    return this.state.failed ? <FaultPage /> : this.props.children
  }
}

function FaultPage() {
  useStore(language)
  return (
    <main className={styles.center} role="alert">
      <h1 className={styles.title}>{t('Something went wrong')}</h1>
      <p>{t('What you wrote is kept on this device. Reload the page to go on.')}</p>
      <Button tone="primary" onClick={() => location.reload()}>
        {t('Reload')}
      </Button>
    </main>
  )
}

/** Says where it happened alone: what was thrown may quote a message. */
export function logFault(error: unknown, { componentStack }: { componentStack?: string | undefined }) {
  const { name, message, stack } = error instanceof Error ? error : new Error()
  const places = stack?.replace(message, '').match(/^ +at .+:\d+:\d+\)?$|^\S*@\S+:\d+:\d+$/gm) ?? []
  console.error('Screen fault', name, ...places.slice(0, 10), componentStack)
}
