/**
 * Files of users: what `user export` writes and `user import` reads. A JSON array, one JSON object a line, the dictionary of
 * the FastAPI tutorial (username to user), the exports of other programs (user_members.ts), or CSV with the names of the members
 * in its first line. Members: `username`, `hashed_password`, and if present `email`, `email_verified`, `full_name`, `roles`, `disabled`,
 * and Latchkey's own `id`, `created_at`, `disabled_at`, `email_verified_at`.
 */
import { CsvError, parse as parseCsv } from 'csv-parse/sync'
import { z } from 'zod'
import { formatJson } from '../printable.ts'
import { type Reading, readFullName, readUsername } from '../text.ts'
import { readEmail } from './email.ts'
import { isWeakPasswordHash, passwordHashProblem } from './password_formats.ts'
import { maxRole, maxRoles, readRoles, rolesFromText } from './roles.ts'
import { createUserId, isUserId, type User } from './user.ts'
import { isBlockedMember, readBlocked } from './user_blocked.ts'
import {
  exportedEntries,
  type FirebaseHashConfig,
  isNobody,
  isSignInName,
  isUserMember,
  type Members,
  readMembers,
  unreadPassword,
  unwrapEntry,
} from './user_members.ts'
import { isAbsent, parseFlag, parseInstant } from './user_values.ts'

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
  /** How many entries are nobody who could sign in: service accounts, anonymous users. */
  leftOut: number
  /** How many of the users have a hash of which many are guessed in a second. */
  weakHashes: number
}>

export type ReadingOptions = Readonly<{
  /** Names of members to read nothing in. */
  ignore?: readonly string[] | undefined
  firebase?: FirebaseHashConfig | undefined
}>

const hasKind = (kinds: string) => ({ error: `is not ${kinds}` })

const instant = z
  .unknown()
  .optional()
  .transform((value, context) => {
    const at = isAbsent(value) ? undefined : parseInstant(value)
    if (typeof at !== 'string') return at
    context.addIssue({ code: 'custom', message: at })
    return z.NEVER
  })

/** Characters of a text with roles, before it is looked at. */
const maxRolesText = maxRoles * (maxRole + 2)

/** What a person typed, as the rules of `text.ts` have it. */
const textBy = (read: (given: string) => Reading) =>
  z.string(hasKind('text')).transform((given, context) => {
    const { text, problem } = read(given)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    return text ?? z.NEVER
  })
/** White space alone is nothing. */
const optionalTextBy = (read: (given: string) => Reading) =>
  textBy(given => (given.trim() === '' ? { text: '' } : read(given))).optional()

/** A list, or a text with spaces or commas between them as tables have it. */
const roles = z.unknown().transform((value, context) => {
  const isText = typeof value === 'string' && value.length <= maxRolesText
  const given = isText ? value.split(/[\s,]+/).filter(Boolean) : value
  const isList = Array.isArray(given) && given.every(role => typeof role === 'string')
  const { text, problem } = isList ? readRoles(given) : { problem: 'is not a list of names' }
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  return text ?? z.NEVER
})

/** Whether an address was proved, or when. */
const proof = z
  .unknown()
  .optional()
  .transform((value, context) => {
    const at = isAbsent(value) ? false : (parseFlag(value) ?? parseInstant(value) ?? false)
    if (typeof at !== 'string') return at
    context.addIssue({ code: 'custom', message: 'is neither true nor false nor a time' })
    return z.NEVER
  })

const memberSchemas = z.object({
  // One of another kind is replaced.
  id: z.string().refine(isUserId).optional().catch(undefined),
  username: textBy(readUsername),
  hashed_password: z
    .string(hasKind('text'))
    .superRefine((text, context) => {
      const problem = isNoPassword(text) ? undefined : passwordHashProblem(text)
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    })
    .optional(),
  email: optionalTextBy(readEmail),
  email_verified: proof,
  full_name: optionalTextBy(readFullName),
  roles: roles.optional(),
  created_at: instant,
})

/** What Django (`!` and random text) and password files write where there is no password to sign in with. */
const isNoPassword = (text: string) => text.startsWith('!') || text === '*'

/**
 * @param text the whole file
 * @param now  seconds since the epoch
 */
export function parseUserFile(
  text: string,
  now: number,
  randomBytes: (size: number) => Buffer,
  { ignore = [], firebase }: ReadingOptions = {},
): UserFile {
  const entries = parseEntries(text.replace(/^\ufeff/, ''))
  if (!Array.isArray(entries)) return { users: [], problems: [entries], ignored: [], leftOut: 0, weakHashes: 0 }

  const users: { place: string; user: User }[] = []
  const problems: Problem[] = []
  const ignored = new Set<string>()
  const asked = new Set(ignore)
  let leftOut = 0
  let weakHashes = 0
  for (const { place, value } of entries) {
    const whole = unwrapEntry(value)
    if (typeof whole !== 'object' || whole === null || Array.isArray(whole)) {
      problems.push({ place, problem: 'is not an object with the members of a user' })
      continue
    }
    const entry = Object.fromEntries(Object.entries(whole).filter(([name]) => !asked.has(name)))
    const members = tryReadMembers(entry, firebase)
    if (typeof members === 'string') {
      problems.push({ place, member: 'passwordHash', problem: members })
      continue
    }
    if (isNobody(entry, members)) {
      leftOut++
      continue
    }
    const { user, problems: found } = readUser(entry, members, now, randomBytes)
    problems.push(...found.map(problem => ({ place, ...problem })))
    if (user === undefined) continue
    users.push({ place, user })
    if (user.passwordHash !== undefined && isWeakPasswordHash(user.passwordHash)) weakHashes++
    for (const name of Object.keys(whole))
      if (asked.has(name) || !(members.used.has(name) || isBlockedMember(name))) ignored.add(name)
  }
  return { users, problems, ignored: [...ignored], leftOut, weakHashes }
}

function tryReadMembers(
  entry: Readonly<Record<string, unknown>>,
  firebase: FirebaseHashConfig | undefined,
): Members | string {
  try {
    return readMembers(entry, firebase)
  } catch (error) {
    return (error as Error).message
  }
}

type Found = Omit<Problem, 'place'>

function readUser(
  entry: Readonly<Record<string, unknown>>,
  members: Members,
  now: number,
  randomBytes: (size: number) => Buffer,
): { user?: User; problems: Found[] } {
  const { values, sources } = members
  const parsed = memberSchemas.safeParse(values)
  const blocked = readBlocked(entry, now)
  const problems: Found[] = [...blocked.problems]
  const unread = unreadPassword(entry, members)
  if (unread !== undefined)
    problems.push({
      member: unread,
      problem: 'may be the password hash; call it hashed_password, or leave it out with --ignore',
    })
  if (!parsed.success) {
    const found = parsed.error.issues.map(({ path: [member], message }) => ({
      member: sources[member as keyof typeof sources] ?? String(member),
      problem: message,
    }))
    problems.push(...found)
  }
  if (!parsed.success || problems.length > 0) {
    const order = ['username', ...Object.keys(entry)]
    const position = ({ member = '' }: Found) => order.lastIndexOf(member)
    return { problems: problems.toSorted((one, other) => position(one) - position(other)) }
  }
  const { id, username, hashed_password: hash, email, full_name: fullName, roles, created_at: createdAt } = parsed.data
  const provedAt = parsed.data.email_verified
  const user = {
    id: id ?? createUserId(randomBytes),
    username,
    email: email || undefined,
    ...(email && provedAt !== false && { emailVerifiedAt: provedAt === true ? now : Math.min(provedAt, now) }),
    fullName: fullName || undefined,
    roles: roles === undefined ? undefined : rolesFromText(roles),
    passwordHash: hash === undefined || isNoPassword(hash) ? undefined : hash,
    credentialVersion: 1,
    createdAt: createdAt ?? now,
    disabledAt: blocked.disabledAt,
  }
  return { user, problems }
}

/** One line of JSON lines, which {@link parseUserFile} reads back as the same user. */
export function formatUser({
  id,
  username,
  passwordHash,
  email,
  emailVerifiedAt,
  fullName,
  roles,
  createdAt,
  disabledAt,
}: User): string {
  return formatJson({
    id,
    username,
    hashed_password: passwordHash ?? null,
    email: email ?? null,
    email_verified: email !== undefined && emailVerifiedAt !== undefined,
    email_verified_at: emailVerifiedAt ?? null,
    full_name: fullName ?? null,
    roles: roles ?? [],
    disabled: disabledAt !== undefined,
    created_at: createdAt,
    disabled_at: disabledAt ?? null,
  })
}

const noUsers: Problem = { place: 'the file', problem: 'has no users in it' }
const unreadable: Problem = {
  place: 'line 1',
  problem: 'is neither JSON nor the names of columns, with username or email among them',
}

function parseEntries(text: string): Entry[] | Problem {
  const whole = parseJson(text)
  const entries = whole === undefined ? parseLines(text) : parseDocument(whole)
  return Array.isArray(entries) && entries.length === 0 ? noUsers : entries
}

function parseDocument(whole: unknown): Entry[] | Problem {
  if (Array.isArray(whole)) return whole.map((value, i) => ({ place: `entry ${i + 1}`, value }))
  if (typeof whole !== 'object' || whole === null) return noUsers
  const exported = exportedEntries(whole)
  if (exported !== undefined) return exported.map((value, i) => ({ place: `entry ${i + 1}`, value }))
  // A user, or users by name.
  const isUser = Object.entries(whole).some(([name, value]) => isUserMember(name) && typeof value !== 'object')
  if (isUser || unwrapEntry(whole) !== whole) return [{ place: 'entry 1', value: whole }]
  return Object.entries(whole).map(([name, value]) => ({ place: `user ${JSON.stringify(name)}`, value }))
}

function parseLines(text: string): Entry[] | Problem {
  const head = /[^\r\n]*/.exec(text.trimStart())?.[0] ?? ''
  if (!/^[[{]/.test(head) && head.split(/[,;\t]/).some(name => isSignInName(name) && name.length < 64))
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
        const isRead = (name: string) => isUserMember(name) || isBlockedMember(name)
        repeated = names.find((name, i) => isRead(name) && names.indexOf(name) < i)
        return names
      },
      delimiter: [';', '\t'].find(delimiter => head.includes(delimiter)) ?? ',',
      skip_empty_lines: true,
      info: true,
    })
    if (repeated !== undefined) return { place: 'line 1', problem: `has two columns ${repeated}` }
    return records.map(({ record, info }) => ({ place: `line ${info.lines}`, value: record }))
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
