export const BASE_MS = 500
export const CAP_MS = 30_000

/** Full jitter: anywhere from nothing to the ceiling, so that a crowd does not come back as one wave. */
export function backoff(attempt: number, random: number): number {
  return Math.round(random * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 10)))
}
