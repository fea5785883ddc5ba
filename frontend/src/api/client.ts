/** What is asked over HTTP: who one is. All the rest goes over the socket. */

export interface Account {
  id: number
  username: string
}

export interface FieldError {
  field: string
  detail: string
}

/** A refusal by the server (`status` as sent) or a request that never got an answer (`status` 0). */
export class ApiError extends Error {
  readonly status: number
  readonly fields: readonly FieldError[]

  constructor(status: number, detail: string, fields: readonly FieldError[] = []) {
    super(detail)
    this.status = status
    this.fields = fields
  }
}

const FALLBACK: Record<number, string> = {
  0: 'The server cannot be reached. Check your connection and try again.',
  429: 'Too many attempts. Wait a moment and try again.',
  503: 'The server is busy. Try again in a moment.',
}

function retryAfter(response: Response): string {
  const seconds = Number(response.headers.get('retry-after'))
  return Number.isFinite(seconds) && seconds > 0 ? ` Try again in ${Math.ceil(seconds)} s.` : ''
}

async function toError(response: Response): Promise<ApiError> {
  const body: { detail?: unknown; errors?: unknown } = await response.json().catch(() => ({}))
  const fallback = FALLBACK[response.status] ?? 'Something went wrong. Try again.'
  const detail = typeof body?.detail === 'string' && body.detail ? body.detail : fallback
  const fields = Array.isArray(body?.errors) ? (body.errors as FieldError[]) : []
  return new ApiError(response.status, detail + (response.status === 429 ? retryAfter(response) : ''), fields)
}

/** Where a 401 is an answer about what was typed or asked, not the end of the session. */
const ASKS_WHO = new Set(['/login', '/v1/session'])

/** The session is an HttpOnly cookie that the browser keeps; no token is kept by this code. */
export function createApi(onUnauthorized: () => void, fetcher: typeof fetch = (...args) => fetch(...args)) {
  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { accept: 'application/json' }
    const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' }
    if (body !== undefined) {
      headers['content-type'] = 'application/json'
      init.body = JSON.stringify(body)
    }
    let response: Response
    try {
      response = await fetcher(path, init)
    } catch {
      throw new ApiError(0, FALLBACK[0] as string)
    }
    if (!response.ok) {
      if (response.status === 401 && !ASKS_WHO.has(path)) onUnauthorized()
      throw await toError(response)
    }
    if (response.status === 204) return undefined as T
    try {
      return (await response.json()) as T
    } catch {
      // Cut off half way, or something else answers at this address: as good as no answer.
      throw new ApiError(0, FALLBACK[0] as string)
    }
  }

  return {
    session: () => call<{ user: Account }>('GET', '/v1/session'),
    /** A new login and cookie in place of this; the token is for a socket that is open already. */
    renew: () => call<{ access_token: string; expires_in: number }>('POST', '/v1/session'),
    register: (username: string, password: string) =>
      call<Account>('POST', '/register', { username, password }),
    login: (username: string, password: string) =>
      call<{ user: Account }>('POST', '/login', { username, password }),
    logout: () => call<void>('POST', '/logout'),
  }
}

export type Api = ReturnType<typeof createApi>
