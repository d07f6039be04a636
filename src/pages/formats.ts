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

/** @param instant seconds since the epoch */
export function formatInstant(instant: number, language: Language): Html {
  return time(instant, formatsOf(language).instant)
}

/** The day alone. */
export function formatDay(instant: number, language: Language): Html {
  return time(instant, formatsOf(language).day)
}

function time(instant: number, format: Intl.DateTimeFormat): Html {
  const date = new Date(instant * 1000)
  return html`<time datetime="${date.toISOString().replace('.000', '')}">${format.format(date)}</time>`
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

/** In this order: most browsers also call themselves by the names of older ones. */
const browsers: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|OPX|OPT)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bWhale\//, 'Whale'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS)\//, 'Chrome'],
  [/\bVersion\/[\d.]+ .*\bSafari\//, 'Safari'],
]

const platforms: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows NT\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMacintosh\b/, 'Mac'],
  [/\bLinux\b/, 'Linux'],
]

/** Characters. A session keeps fewer; the patterns above take time by the square of what they read. */
const maxUserAgent = 512

/**
 * What a user agent calls itself, without version: browsers go by name and platform.
 *
 * @returns undefined for anything but one of the browsers that are known for certain
 */
export function parseUserAgent(text: string): { browser: string; platform: string } | undefined {
  const userAgent = text.slice(0, maxUserAgent)
  // Apps write whatever they like, and bots the names of browsers: their own text says more.
  if (!userAgent.startsWith('Mozilla/5.0 (') || /compatible;|bot|crawl|; wv\)/i.test(userAgent)) return undefined
  const browser = browsers.find(([pattern]) => pattern.test(userAgent))?.[1]
  const platform = platforms.find(([pattern]) => pattern.test(userAgent))?.[1]
  return browser === undefined || platform === undefined ? undefined : { browser, platform }
}
