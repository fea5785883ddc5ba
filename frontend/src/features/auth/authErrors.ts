import type { ApiError } from '../../api/client'
import { t } from '../../lib/i18n'

/** What to say, and beside which field. */
export interface AuthErrors {
  username: string | null
  password: string | null
  form: string | null
}

export const NO_ERRORS: AuthErrors = { username: null, password: null, form: null }

export function missing(username: string, password: string): AuthErrors | null {
  if (username && password) return null
  return {
    username: username ? null : t('Enter your username.'),
    password: password ? null : t('Enter your password.'),
    form: null,
  }
}

export function explain(error: ApiError, step: 'register' | 'login'): AuthErrors {
  if (error.status === 409) return { ...NO_ERRORS, username: error.message }
  if (step === 'login' && error.status === 401)
    return { ...NO_ERRORS, form: t('Wrong username or password.') }
  const of = (field: string) => error.fields.find((entry) => entry.field === field)?.detail ?? null
  const username = of('username')
  const password = of('password')
  return { username, password, form: username || password ? null : error.message }
}
