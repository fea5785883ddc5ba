import { type Language, language } from './i18n'

/** Dates as people say them, in the language of the screens: of its varieties the browser's own, with the browser's clock. */
function make(id: Language) {
  const { locale: own, hourCycle } = new Intl.DateTimeFormat(undefined, {
    timeStyle: 'short',
  }).resolvedOptions()
  // Digits as in the counts beside them.
  const locale = `${own.split('-')[0] === id ? own.split('-u-')[0] : id}-u-nu-latn`
  const dates = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale, options)
  const cycle = hourCycle === undefined ? {} : { hourCycle }
  return {
    id,
    clock: dates({ timeStyle: 'short', ...cycle }),
    weekday: dates({ weekday: 'short' }),
    shortDate: dates({ day: 'numeric', month: 'short' }),
    datedYear: dates({ day: 'numeric', month: 'short', year: 'numeric' }),
    longDay: dates({ weekday: 'long', day: 'numeric', month: 'long' }),
    longDayYear: dates({ day: 'numeric', month: 'long', year: 'numeric' }),
    full: dates({ dateStyle: 'full', timeStyle: 'short', ...cycle }),
    relativeDay: new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }),
  }
}

/** Dear to make, so made once for each language. */
let made: ReturnType<typeof make> | null = null

function say() {
  const { id } = language.getState()
  if (made?.id !== id) made = make(id)
  return made
}

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
  return date ? say().clock.format(date) : ''
}

export function fullTime(timestamp: string): string {
  const date = parse(timestamp)
  return date ? say().full.format(date) : ''
}

export function listTime(timestamp: string, now = new Date()): string {
  const date = parse(timestamp)
  if (!date) return ''
  const days = daysBetween(date, now)
  if (days <= 0) return say().clock.format(date)
  if (days < 7) return say().weekday.format(date)
  return date.getFullYear() === now.getFullYear()
    ? say().shortDate.format(date)
    : say().datedYear.format(date)
}

export function dayLabel(timestamp: string, now = new Date()): string {
  const date = parse(timestamp)
  if (!date) return ''
  const days = daysBetween(date, now)
  if (days === 0 || days === 1) return capital(say().relativeDay.format(-days, 'day'))
  return date.getFullYear() === now.getFullYear()
    ? say().longDay.format(date)
    : say().longDayYear.format(date)
}

/** Equal for two moments of one local calendar day. */
export function dayKey(timestamp: string): string {
  const date = parse(timestamp)
  return date ? `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}` : ''
}
