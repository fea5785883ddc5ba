import { Eye, EyeOff } from 'lucide-react'
import { type SubmitEvent, useEffect, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { ApiError } from '../../api/client'
import { brandName } from '../../lib/brand'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import { Button, IconButton } from '../../ui/Button'
import { Field } from '../../ui/Field'
import styles from './AuthPage.module.css'
import { type AuthErrors, explain, missing, NO_ERRORS } from './authErrors'

export const SIGN_UP_PATH = '/signup'

export function AuthPage({ notice }: { notice: string | null }) {
  const [path] = useLocation()
  const registering = path === SIGN_UP_PATH
  return <AuthForm key={String(registering)} registering={registering} notice={notice} />
}

function AuthForm({ registering, notice }: { registering: boolean; notice: string | null }) {
  const { api, account } = useServices()
  const [, navigate] = useLocation()
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const [revealed, setRevealed] = useState(false)
  const [busy, setBusy] = useState(false)
  const [errors, setErrors] = useState<AuthErrors>(NO_ERRORS)
  const form = useRef<HTMLFormElement>(null)

  useEffect(() => {
    const here = registering ? t('Create account') : t('Log in')
    const brand = brandName()
    document.title = brand === null ? here : `${here} · ${brand}`
  }, [registering])

  // The first field at fault is where the next key belongs.
  // biome-ignore lint/correctness/useExhaustiveDependencies: every new set of errors moves the focus
  useEffect(() => {
    form.current?.querySelector<HTMLInputElement>('[aria-invalid="true"]')?.focus()
  }, [errors])

  async function submit(event: SubmitEvent) {
    event.preventDefault()
    if (busy) return
    const name = username.trim()
    const empty = missing(name, password)
    setErrors(empty ?? NO_ERRORS)
    if (empty) return
    setBusy(true)
    let step: 'register' | 'login' = registering ? 'register' : 'login'
    try {
      if (registering) await api.register(name, password)
      step = 'login'
      await account.login(name, password)
      if (registering) navigate('/', { replace: true })
    } catch (error) {
      setBusy(false)
      if (!(error instanceof ApiError)) throw error
      const said = explain(error, step)
      setErrors(
        registering && step === 'login'
          ? { ...NO_ERRORS, form: `${t('Your account is ready.')} ${error.message}` }
          : said,
      )
    }
  }

  const message = errors.form ?? notice
  return (
    <main className={styles.page}>
      <form ref={form} className={styles.card} onSubmit={submit} noValidate>
        <p className={styles.brand}>
          <img src="/favicon.svg" alt="" width="44" height="44" />
          <bdi>{brandName()}</bdi>
        </p>
        <h1 className={styles.title}>{registering ? t('Create your account') : t('Welcome back')}</h1>
        <p className={styles.lead}>
          {registering
            ? t('Pick a name people can find you by.')
            : t('Log in to go on with your conversations.')}
        </p>
        <p className={styles.message} role="alert" data-error={errors.form !== null}>
          {message}
        </p>
        <Field
          label={t('Username')}
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoCorrect="off"
          required
          value={username}
          onChange={(event) => setUsername(event.target.value)}
          error={errors.username}
        />
        <Field
          label={t('Password')}
          name="password"
          type={revealed ? 'text' : 'password'}
          autoComplete={registering ? 'new-password' : 'current-password'}
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={errors.password}
          end={
            <IconButton
              label={revealed ? t('Hide characters') : t('Show characters')}
              aria-pressed={revealed}
              onClick={() => setRevealed(!revealed)}
            >
              {revealed ? <EyeOff size={18} /> : <Eye size={18} />}
            </IconButton>
          }
        />
        <Button type="submit" tone="primary" busy={busy} className={styles.submit ?? ''}>
          {registering ? t('Create account') : t('Log in')}
        </Button>
        <p className={styles.other}>
          {registering ? t('Have an account?') : t('New here?')}{' '}
          <Link href={registering ? '/' : SIGN_UP_PATH}>
            {registering ? t('Log in instead') : t('Sign up')}
          </Link>
        </p>
      </form>
    </main>
  )
}
