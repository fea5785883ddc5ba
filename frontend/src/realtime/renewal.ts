/** A login that is met with less than this ahead of it is renewed at once. */
export const EARLY_MS = 12 * 3_600_000
const AGAIN_MS = 60_000

interface Parts {
  isLive(): boolean
  /** Opens a new login in place of the one there is. */
  renew(): Promise<{ access_token: string; expires_in: number }>
  /** Lets the open socket live on with it. */
  adopt(token: string): Promise<unknown>
}

/** Who keeps coming back is never asked for the password again: the login is renewed long before it ends. */
export function createRenewal({ isLive, renew, adopt }: Parts, now: () => number = Date.now) {
  let due = Number.POSITIVE_INFINITY
  let busy = false

  return {
    /** A socket says until when its login holds. */
    met(expiresAt: string | undefined) {
      const ends = Date.parse(expiresAt ?? '')
      due = Number.isNaN(ends) ? Number.POSITIVE_INFINITY : Math.max(now(), ends - EARLY_MS)
    },
    /** Called now and then, as timers stand still while a machine sleeps. */
    async look() {
      if (busy || now() < due || !isLive()) return
      busy = true
      try {
        const { access_token, expires_in } = await renew()
        // Counted from here: this clock and the server's may differ.
        due = now() + expires_in * 500
        await adopt(access_token)
      } catch {
        due = now() + AGAIN_MS
      } finally {
        busy = false
      }
    },
  }
}
