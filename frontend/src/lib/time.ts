/** Dates as people say them, in the browser's own language. Formatters are dear to make, so made once. */

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short' })
const shortDate = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const datedYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' })
const longDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const longDayYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })
const relativeDay = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })

const startOfDay = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate())
/** Whole calendar days from `then` to `now`; rounded, because a day may have 23 or 25 hours. */
const daysBetween = (then: Date, now: Date) =>
  Math.round((startOfDay(now).getTime() - startOfDay(then).getTime()) / 86_400_000)

const capital = (text: string) => text.charAt(0).toLocaleUpperCase() + text.slice(1)

/** The server's word may be no date at all; then nothing is shown rather than an exception. */
function parse(timestamp: string): Date | null {
  const date = new Date(timestamp)
  return Number.isNaN(date.getTime()) ? null : date
}

export function timeOfDay(timestamp: string): string {
  const date = parse(timestamp)
  return date ? clock.format(date) : ''
}

export function fullTime(timestamp: string): string {
  const date = parse(timestamp)
  return date ? full.format(date) : ''
}

export function listTime(timestamp: string, now = new Date()): string {
  const date = parse(timestamp)
  if (!date) return ''
  const days = daysBetween(date, now)
  if (days <= 0) return clock.format(date)
  if (days < 7) return weekday.format(date)
  return date.getFullYear() === now.getFullYear() ? shortDate.format(date) : datedYear.format(date)
}

export function dayLabel(timestamp: string, now = new Date()): string {
  const date = parse(timestamp)
  if (!date) return ''
  const days = daysBetween(date, now)
  if (days === 0 || days === 1) return capital(relativeDay.format(-days, 'day'))
  return date.getFullYear() === now.getFullYear() ? longDay.format(date) : longDayYear.format(date)
}

/** Equal for two moments of one local calendar day. */
export function dayKey(timestamp: string): string {
  const date = parse(timestamp)
  return date ? `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}` : ''
}
