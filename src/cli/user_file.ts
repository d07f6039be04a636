/**
 * Files of users to import: a JSON array, one JSON object a line, or the dictionary of the FastAPI tutorial (username to
 * user). Members: `username`, `hashed_password`, and if present `email`, `full_name`, `disabled`.
 */
import { z } from 'zod'
import { isPasswordHash } from '../oauth/password.ts'
import { createUserId, parseUsername, type User } from '../oauth/user.ts'

const entrySchema = z.object({
  username: z.string().refine(text => parseUsername(text) !== undefined, 'cannot be a username'),
  hashed_password: z.string().refine(isPasswordHash, 'is not a bcrypt or argon2id hash'),
  email: z.string().nullish(),
  full_name: z.string().nullish(),
  disabled: z.boolean().nullish(),
})

/**
 * @param text the whole file
 * @param now  seconds since the epoch
 * @throws Error that names each entry which cannot be taken and why; never shows a hash
 */
export function parseUserFile(text: string, now: number, randomBytes: (size: number) => Buffer): User[] {
  const problems: string[] = []
  const entries = parseEntries(text)
  if (entries.length === 0) throw new Error('nothing was imported: the file has no users in it')
  const users = entries.map(({ place, value }): User | undefined => {
    const parsed = entrySchema.safeParse(value)
    if (!parsed.success) {
      problems.push(
        ...parsed.error.issues.map(issue => `${place}: ${issue.path.join('.') || 'entry'}: ${issue.message}`),
      )
      return undefined
    }
    const { username, hashed_password: passwordHash, email, full_name: fullName, disabled } = parsed.data
    return {
      id: createUserId(randomBytes),
      username: username.normalize('NFC'),
      email: email ?? undefined,
      fullName: fullName ?? undefined,
      passwordHash,
      credentialVersion: 1,
      createdAt: now,
      disabledAt: disabled ? now : undefined,
    }
  })
  if (problems.length > 0) {
    const shown = problems.slice(0, 20).join('\n')
    const more = problems.length > 20 ? `\nand ${problems.length - 20} more` : ''
    throw new Error(`nothing was imported:\n${shown}${more}`)
  }
  return users as User[]
}

function parseEntries(text: string): { place: string; value: unknown }[] {
  const whole = parseJson(text)
  if (whole === undefined) {
    const lines = text.split('\n').map((line, i) => ({ place: `line ${i + 1}`, line: line.trim() }))
    return lines.filter(({ line }) => line !== '').map(({ place, line }) => ({ place, value: parseJson(line) }))
  }
  if (Array.isArray(whole)) return whole.map((value, i) => ({ place: `entry ${i + 1}`, value }))
  if (typeof whole !== 'object' || whole === null) throw new Error('nothing was imported: the file has no users in it')
  if ('hashed_password' in whole) return [{ place: 'entry 1', value: whole }]
  return Object.entries(whole).map(([name, value]) => ({ place: `user ${JSON.stringify(name)}`, value }))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''))
  } catch {
    return undefined
  }
}
