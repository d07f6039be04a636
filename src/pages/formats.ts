/** Instants, spans and user agents as people read them. */
import { type Html, html } from './html.ts'
import type { Language } from './language.ts'

// Day before month: with the month as a word it can't be misread anywhere.
const locales = { en: 'en-GB', ko: 'ko-KR' } as const

const formats: Partial<Record<Language, ReturnType<typeof createFormats>>> = {}

/** Creating them costs more than a page, and more than a start should wait for: once for each language, when it is read. */
function formatsOf(language: Language) {
  formats[language] ??= createFormats(locales[language])
  return formats[language]
}

function createFormats(locale: string) {
  const unit = (name: string) => new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: 'long' })
  return {
    instant: new Intl.DateTimeFormat(locale, {
      year: 'numeric',
      month: locale === locales.ko ? 'long' : 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
      timeZone: 'UTC',
      timeZoneName: 'short',
    }),
    day: new Intl.DateTimeFormat(locale, {
      year: 'numeric',
      month: locale === locales.ko ? 'long' : 'short',
      day: 'numeric',
      timeZone: 'UTC',
    }),
    ago: new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }),
    number: new Intl.NumberFormat(locale),
    second: unit('second'),
    minute: unit('minute'),
    hour: unit('hour'),
  }
}

/** In UTC, which it says; the script makes it the time of the person. @param instant seconds since the epoch */
export function formatInstant(instant: number, language: Language): Html {
  const text = formatsOf(language).instant.format(instant * 1000)
  return html`<time datetime="${dateTime(instant)}">${text}</time>`
}

/** The day alone. */
export function formatDay(instant: number, language: Language): Html {
  const text = formatsOf(language).day.format(instant * 1000)
  return html`<time datetime="${dateTime(instant)}" data-day>${text}</time>`
}

const justNow = { en: 'just now', ko: '방금 전' } as const

/** How long before `now`; the script keeps it right while the page is open, by the seconds that it was when the page was made. */
export function formatTimeAgo(instant: number, now: number, language: Language): Html {
  const text = formatAgo(instant, now, language) ?? justNow[language]
  return html`<time datetime="${dateTime(instant)}" data-ago="${Math.max(0, now - instant)}">${text}</time>`
}

function dateTime(instant: number): string {
  return new Date(instant * 1000).toISOString().replace('.000', '')
}

/** How long before `now`, roughly: “3 hours ago”; undefined for less than a minute. Seconds since the epoch. */
export function formatAgo(instant: number, now: number, language: Language): string | undefined {
  const { ago } = formatsOf(language)
  const seconds = now - instant
  if (seconds < 60) return undefined
  if (seconds < 3600) return ago.format(-Math.floor(seconds / 60), 'minute')
  if (seconds < 86_400) return ago.format(-Math.floor(seconds / 3600), 'hour')
  if (seconds < 30 * 86_400) return ago.format(-Math.floor(seconds / 86_400), 'day')
  if (seconds < 365 * 86_400) return ago.format(-Math.floor(seconds / (30 * 86_400)), 'month')
  return ago.format(-Math.floor(seconds / (365 * 86_400)), 'year')
}

/** A wait in seconds, rounded up: whoever waits for as long is not too early. */
export function formatWait(seconds: number, language: Language): string {
  const { second, minute, hour } = formatsOf(language)
  const whole = Math.max(1, Math.ceil(seconds))
  if (whole < 120) return second.format(whole)
  if (whole < 7200) return minute.format(Math.ceil(whole / 60))
  return hour.format(Math.ceil(whole / 3600))
}

export function formatNumber(value: number, language: Language): string {
  return formatsOf(language).number.format(value)
}

/** At most that many characters, with an ellipsis where some are left out. */
export function cut(text: string, longest: number): string {
  if (text.length <= longest) return text
  // A pair of surrogates stays together.
  return `${text.slice(0, longest - 1).replace(/[\ud800-\udbff]$/, '')}…`
}

/**
 * What somebody else wrote, with a sign in the place of everything that nobody would see or that reorders what stands around it, even out of
 * an element of its own. Joiners and variants stay, which letters and emoji are made with, and marks of direction without reach.
 */
export function visible(text: string): string {
  const unseen =
    /(?![\u061c\u200c-\u200f]|[\ufe00-\ufe0f])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/gu
  return text.replace(unseen, '\ufffd')
}
