/**
 * Files of users: what `user export` writes and `user import` reads. A JSON array, one JSON object a line, the dictionary of
 * the FastAPI tutorial (username to user), or CSV with the names of the members in its first line. Members: `username`,
 * `hashed_password`, and if present `email`, `full_name`, `disabled`, and Latchkey's own `id`, `created_at`, `disabled_at`.
 */
import { CsvError, parse as parseCsv } from 'csv-parse/sync'
import { z } from 'zod'
import { passwordHashProblem } from '../oauth/password_formats.ts'
import { type Reading, readEmail, readFullName, readUsername } from '../oauth/text.ts'
import { createUserId, isUserId, type User } from '../oauth/user.ts'

/** Where something stands in the file, for messages: `line 3`, `entry 3`, `user "alice"`. */
type Entry = Readonly<{ place: string; value: unknown }>

export type Problem = Readonly<{ place: string; member?: string; problem: string }>

export type UserFile = Readonly<{
  /** Those that can be taken. */
  users: readonly { place: string; user: User }[]
  /** What can't, in the order of the file; never shows a hash. */
  problems: readonly Problem[]
  /** Names of members that mean nothing here. */
  ignored: readonly string[]
}>

const hasKind = (kinds: string) => ({ error: `is not ${kinds}` })

/** The end of the year 9999, in seconds. What is later are milliseconds. */
const latest = 253_402_300_799

const time = z.iso.datetime({ offset: true, local: true }).transform(text => Math.floor(Date.parse(text) / 1000))
const instant = z
  .union([z.int(), time], hasKind('seconds since 1970 or a time of ISO 8601'))
  .refine(at => at >= 0 && at <= latest, 'is not a time from 1970 to 9999, in seconds')

/** What a person typed, as the rules of `oauth/text.ts` have it. */
const textBy = (read: (given: string) => Reading) =>
  z.string(hasKind('text')).transform((given, context) => {
    const { text, problem } = read(given)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    return text ?? z.NEVER
  })
/** White space alone is nothing. */
const optionalTextBy = (read: (given: string) => Reading) =>
  textBy(given => (given.trim() === '' ? { text: '' } : read(given))).nullish()

const members = {
  // One of another kind is replaced.
  id: z.string().refine(isUserId).optional().catch(undefined),
  username: textBy(readUsername),
  hashed_password: z.string(hasKind('text')).superRefine((text, context) => {
    const problem = passwordHashProblem(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  }),
  email: optionalTextBy(readEmail),
  full_name: optionalTextBy(readFullName),
  disabled: z.boolean(hasKind('true or false')).nullish(),
  created_at: instant.nullish(),
  disabled_at: instant.nullish(),
}

const entrySchema = z
  .object(members, hasKind('an object with the members of a user'))
  .refine(({ disabled, disabled_at: at }) => disabled !== false || at == null, {
    path: ['disabled_at'],
    error: 'is there, and disabled is false',
  })

/**
 * @param text the whole file
 * @param now  seconds since the epoch
 */
export function parseUserFile(text: string, now: number, randomBytes: (size: number) => Buffer): UserFile {
  const entries = parseEntries(text.replace(/^\ufeff/, ''))
  if (!Array.isArray(entries)) return { users: [], problems: [entries], ignored: [] }

  const users: { place: string; user: User }[] = []
  const problems: Problem[] = []
  const ignored = new Set<string>()
  for (const { place, value } of entries) {
    const parsed = entrySchema.safeParse(value)
    if (!parsed.success) {
      const found = parsed.error.issues.map(({ path: [member], message }) => ({ place, member, problem: message }))
      problems.push(...(found as Problem[]))
      continue
    }
    const { id, username, hashed_password: passwordHash, email, full_name: fullName, disabled, ...at } = parsed.data
    users.push({
      place,
      user: {
        id: id ?? createUserId(randomBytes),
        username,
        email: email || undefined,
        fullName: fullName || undefined,
        passwordHash,
        credentialVersion: 1,
        createdAt: at.created_at ?? now,
        disabledAt: at.disabled_at ?? (disabled ? now : undefined),
      },
    })
    for (const name of Object.keys(value as object)) if (!(name in members)) ignored.add(name)
  }
  return { users, problems, ignored: [...ignored] }
}

/** One line of JSON lines, which {@link parseUserFile} reads back as the same user. */
export function formatUser({ id, username, passwordHash, email, fullName, createdAt, disabledAt }: User): string {
  return JSON.stringify({
    id,
    username,
    hashed_password: passwordHash,
    email: email ?? null,
    full_name: fullName ?? null,
    disabled: disabledAt !== undefined,
    created_at: createdAt,
    disabled_at: disabledAt ?? null,
  })
}

const noUsers: Problem = { place: 'the file', problem: 'has no users in it' }
const unreadable: Problem = {
  place: 'line 1',
  problem: 'is neither JSON nor the names of columns, with username and hashed_password among them',
}

function parseEntries(text: string): Entry[] | Problem {
  const whole = parseJson(text)
  const entries = whole === undefined ? parseLines(text) : parseDocument(whole)
  return Array.isArray(entries) && entries.length === 0 ? noUsers : entries
}

function parseDocument(whole: unknown): Entry[] | Problem {
  if (Array.isArray(whole)) return whole.map((value, i) => ({ place: `entry ${i + 1}`, value }))
  if (typeof whole !== 'object' || whole === null) return noUsers
  if ('hashed_password' in whole) return [{ place: 'entry 1', value: whole }]
  return Object.entries(whole).map(([name, value]) => ({ place: `user ${JSON.stringify(name)}`, value }))
}

function parseLines(text: string): Entry[] | Problem {
  const head = /[^\r\n]*/.exec(text.trimStart())?.[0] ?? ''
  if (!/^[[{]/.test(head) && head.includes('username') && head.includes('hashed_password'))
    return parseTable(text, head)
  if (!/^(?:\{|$)/.test(head)) return unreadable
  const lines = text.split('\n').map((line, i) => ({ place: `line ${i + 1}`, line: line.trim() }))
  return lines.filter(({ line }) => line !== '').map(({ place, line }) => ({ place, value: parseJson(line) }))
}

/** What csv-parse gives for each record; `lines` is that of its end. */
type Row = { record: Record<string, string>; info: { lines: number } }

/** @param head the line with the names, which shows what separates the columns */
function parseTable(text: string, head: string): Entry[] | Problem {
  try {
    let repeated: string | undefined
    const records = parseCsv<Row>(text, {
      columns: (given: string[]) => {
        const names = given.map(name => name.trim())
        repeated = names.find((name, i) => Object.hasOwn(members, name) && names.indexOf(name) < i)
        return names
      },
      delimiter: [';', '\t'].find(delimiter => head.includes(delimiter)) ?? ',',
      skip_empty_lines: true,
      info: true,
    })
    if (repeated !== undefined) return { place: 'line 1', problem: `has two columns ${repeated}` }
    return records.map(({ record, info }) => ({ place: `line ${info.lines}`, value: fromTexts(record) }))
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    // The message of the package may quote what is there, which may be a hash.
    const problem =
      error.code === 'CSV_RECORD_INCONSISTENT_COLUMNS' || error.code === 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH'
        ? 'has more or fewer columns than the first; a hash with commas in it belongs in double quotes'
        : `cannot be read as CSV (${error.code})`
    return { place: `line ${error.lines ?? 1}`, problem }
  }
}

/** CSV has texts only: what is empty is absent, and what should be something else becomes it where it can. */
function fromTexts(record: Record<string, string>): Record<string, unknown> {
  const { disabled = '', created_at, disabled_at, ...texts } = record
  const instantFrom = (text: string | undefined) => (text !== undefined && /^\d+$/.test(text) ? Number(text) : text)
  const values = {
    ...texts,
    disabled: { true: true, t: true, 1: true, false: false, f: false, 0: false }[disabled.toLowerCase()] ?? disabled,
    created_at: instantFrom(created_at),
    disabled_at: instantFrom(disabled_at),
  }
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '' && value !== undefined))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
