import type { Conversation, FieldError, Message, Session, User } from './types'

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

export const PAGE_SIZE = 50

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

/** The session is an HttpOnly cookie that the browser keeps: no token passes through this code. */
export function createApi(onUnauthorized: () => void, fetcher: typeof fetch = (...args) => fetch(...args)) {
  async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const headers: Record<string, string> = { accept: 'application/json' }
    const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' }
    if (signal) init.signal = signal
    if (body !== undefined) {
      headers['content-type'] = 'application/json'
      init.body = JSON.stringify(body)
    }
    let response: Response
    try {
      response = await fetcher(path, init)
    } catch (cause) {
      if (signal?.aborted) throw cause
      throw new ApiError(0, FALLBACK[0] as string)
    }
    if (!response.ok) {
      if (response.status === 401 && !ASKS_WHO.has(path)) onUnauthorized()
      throw await toError(response)
    }
    if (response.status === 204) return undefined as T
    try {
      return (await response.json()) as T
    } catch (cause) {
      if (signal?.aborted) throw cause
      // Cut off half way, or something else answers at this address: as good as no answer.
      throw new ApiError(0, FALLBACK[0] as string)
    }
  }

  return {
    session: () => call<Session>('GET', '/v1/session'),
    register: (username: string, password: string) => call<User>('POST', '/register', { username, password }),
    login: (username: string, password: string) =>
      call<{ user: User }>('POST', '/login', { username, password }),
    logout: () => call<void>('POST', '/logout'),
    conversations: (userId: number) => call<Conversation[]>('GET', `/conversations/${userId}`),
    messages: (conversationId: number, at: { before?: number; after?: number } = {}) => {
      const query = new URLSearchParams({ limit: String(PAGE_SIZE) })
      if (at.before !== undefined) query.set('before', String(at.before))
      if (at.after !== undefined) query.set('after', String(at.after))
      return call<Message[]>('GET', `/messages/${conversationId}?${query}`)
    },
    user: (id: number) => call<User>('GET', `/v1/users/${id}`),
    searchUsers: (text: string, signal?: AbortSignal) =>
      call<User[]>('GET', `/search-users?q=${encodeURIComponent(text)}`, undefined, signal),
    deleteConversation: (id: number) => call<unknown>('DELETE', `/conversation/${id}`),
  }
}

export type Api = ReturnType<typeof createApi>
