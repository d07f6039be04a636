/** Values as files of users write them: what is absent, truth values and times in the notations of the field's databases. */

/** The end of the year 9999, in seconds. What is later are milliseconds. */
const latestInstant = 253_402_300_799

/** Names of members are compared without case and without what separates words: `passwordHash` is `password_hash`. */
export const plainName = (name: string) => name.replace(/[^A-Za-z0-9]/g, '').toLowerCase()

/** `\N` is how PostgreSQL and MySQL write null in CSV, `NULL` how many clients of theirs do. */
export const isAbsent = (value: unknown) =>
  value === undefined || value === null || value === '' || value === '\\N' || value === 'NULL'

/** @returns a truth value of JSON, or as PostgreSQL (t, f) and MySQL (1, 0) write it; undefined for anything else */
export function parseFlag(value: unknown): boolean | undefined {
  const text = String(value).toLowerCase()
  if (['true', 't', '1'].includes(text)) return true
  if (['false', 'f', '0'].includes(text)) return false
  return undefined
}

const notInstant = 'is not seconds since 1970 or a time of ISO 8601'
const notIn = 'is not a time from 1970 to 9999, in seconds'

/** ISO 8601, and what PostgreSQL and MySQL make of it: a blank before the time, an offset of hours only. */
const timeText =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(?: ?(Z|UTC|[+-]\d\d(?::?\d\d)?(?::?00)?))?)?$/i

/**
 * @param value seconds, or a time as text; one without an offset is UTC, as the databases that write such times mostly hold it
 * @returns seconds since the epoch, undefined for a time that is none (MySQL's year 0), or what is wrong with it
 */
export function parseInstant(value: unknown): number | undefined | string {
  if (typeof value === 'number') return Number.isInteger(value) ? within(value) : notInstant
  if (isDate(value)) return parseInstant(value.$date)
  if (typeof value !== 'string') return notInstant
  if (/^\d{1,16}$/.test(value)) return within(Number(value))
  if (value === 'infinity') return latestInstant
  const [whole, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', zone = 'Z'] =
    timeText.exec(value) ?? []
  if (whole === undefined) return notInstant
  if (year === '0000') return undefined
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  if (date.getUTCDate() !== Number(day) || date.getUTCMonth() !== Number(month) - 1) return notInstant
  const [sign = '+', hours = '00', minutes = '00'] = /^([+-])(\d\d):?(\d\d)?/.exec(zone)?.slice(1) ?? []
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}${sign}${hours}:${minutes}`
  const at = Date.parse(text)
  return Number.isNaN(at) ? notInstant : within(at / 1000)
}

/** Milliseconds since 1970, as Firebase (in texts) and Keycloak write them. */
export function parseMilliseconds(value: unknown): number | undefined | string {
  const milliseconds = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  return typeof milliseconds === 'number' && Number.isInteger(milliseconds)
    ? within(Math.floor(milliseconds / 1000))
    : 'is not milliseconds since 1970'
}

const within = (at: number) => (at >= 0 && at <= latestInstant ? at : notIn)

/** MongoDB's extended JSON, which Auth0's dumps have. */
const isDate = (value: unknown): value is { $date: unknown } =>
  typeof value === 'object' && value !== null && '$date' in value && typeof value.$date === 'string'
