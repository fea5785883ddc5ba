import { expect, test } from 'vitest'
import { language } from './i18n'
import { dayKey, dayLabel, listTime, timeOfDay } from './time'

const now = new Date(2026, 2, 30, 12, 0)
const at = (...parts: [number, number, number, number, number]) => new Date(...parts).toISOString()

test('days are calendar days of the reader, also over a change of clocks', () => {
  expect(dayLabel(at(2026, 2, 30, 0, 1), now)).toBe('Today')
  expect(dayLabel(at(2026, 2, 29, 0, 1), now)).toBe('Yesterday')
  expect(dayLabel(at(2025, 2, 30, 0, 1), now)).toContain('2025')
  expect(dayKey(at(2026, 2, 30, 23, 59))).toBe(dayKey(at(2026, 2, 30, 0, 0)))
})

test('the list says the time today, the day this week, else the date', () => {
  expect(listTime(at(2026, 2, 30, 9, 5), now)).toBe(timeOfDay(at(2026, 2, 30, 9, 5)))
  expect(listTime(at(2026, 2, 27, 9, 5), now)).toMatch(/^\D+$/)
  expect(listTime(at(2026, 0, 2, 9, 5), now)).not.toContain('2026')
  expect(listTime(at(2024, 0, 2, 9, 5), now)).toContain('2024')
})

test('what is no date is shown as nothing', () => {
  expect([timeOfDay('soon'), listTime('', now), dayLabel('x', now), dayKey('x')]).toEqual(['', '', '', ''])
})

test('dates speak the language of the screens, with digits as in its counts', () => {
  const now = new Date(2026, 0, 20, 12, 0)
  language.setState({ id: 'ar' })
  expect(dayLabel(new Date(2026, 0, 20, 9, 0).toISOString(), now)).toBe('اليوم')
  expect(dayLabel(new Date(2025, 4, 3, 9, 0).toISOString(), now)).toMatch(/^3 \p{Script=Arabic}+ 2025$/u)
  language.setState({ id: 'en' })
  expect(dayLabel(new Date(2026, 0, 20, 9, 0).toISOString(), now)).toBe('Today')
})
