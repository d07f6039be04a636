/**
 * Whether a user of a file is blocked. Every program has words of its own for it; a user who was blocked there must not be able to
 * sign in here only because the word was not understood. So members that are known are read, and unknown ones that look as if
 * they said it refuse the user.
 */
import { isAbsent, parseFlag, parseInstant, plainName } from './user_values.ts'

/** What members say, as a `concept`: two members of one concept that disagree cannot both be right. */
type Concept = 'enabled' | 'blocked' | 'banned' | 'locked' | 'suspended' | 'deleted' | 'revoked' | 'archived'

const stems: Readonly<Record<string, Concept>> = {
  disabled: 'enabled',
  deactivated: 'enabled',
  inactive: 'enabled',
  blocked: 'blocked',
  banned: 'banned',
  locked: 'locked',
  accountlocked: 'locked',
  suspended: 'suspended',
  deleted: 'deleted',
  revoked: 'revoked',
  archived: 'archived',
  // WordPress' networks.
  spam: 'blocked',
}

type Member = Readonly<{
  concept: Concept
  reads: 'blocked if true' | 'blocked if false' | 'since' | 'own since' | 'until' | 'state'
}>

const known = new Map<string, Member>()
for (const [stem, concept] of Object.entries(stems)) {
  for (const name of [stem, `is${stem}`]) known.set(name, { concept, reads: 'blocked if true' })
  // ActiveRecord's paranoia and its like have a time instead of a flag.
  known.set(`${stem}at`, { concept, reads: 'since' })
  known.set(`${stem}on`, { concept, reads: 'since' })
}
// `user export` writes null, and never a zero for it.
known.set('disabledat', { concept: 'enabled', reads: 'own since' })
for (const name of ['enabled', 'isenabled', 'active', 'isactive', 'accountenabled'])
  known.set(name, { concept: 'enabled', reads: 'blocked if false' })
for (const name of ['accountnonlocked', 'isaccountnonlocked'])
  known.set(name, { concept: 'locked', reads: 'blocked if false' })
for (const name of ['banneduntil', 'bannedtill']) known.set(name, { concept: 'banned', reads: 'until' })
for (const name of ['blockeduntil', 'blockedtill']) known.set(name, { concept: 'blocked', reads: 'until' })
for (const name of ['suspendeduntil', 'suspendedtill']) known.set(name, { concept: 'suspended', reads: 'until' })
// lockoutend: ASP.NET Identity.
for (const name of ['lockeduntil', 'lockedtill', 'lockoutend']) known.set(name, { concept: 'locked', reads: 'until' })
for (const name of ['status', 'state', 'userstatus', 'userstate', 'accountstatus', 'accountstate'])
  known.set(name, { concept: 'enabled', reads: 'state' })

/** Words of Okta, Cognito, GitLab, Mastodon and many tables. A number other than WordPress's 0 has a meaning of its own. */
const goodStates = new Set(
  'active,activated,enabled,confirmed,verified,approved,normal,ok,registered,0,provisioned,recovery,password_expired,reset_required,force_change_password'.split(
    ',',
  ),
)
const badStates = new Set(
  'inactive,deactivated,disabled,blocked,banned,locked,locked_out,suspended,deleted,removed,archived,revoked,terminated,closed,deprovisioned,rejected,spam,compromised,frozen'.split(
    ',',
  ),
)

/** Look like it and mean something else, in the exports of programs that are known. */
const harmless = new Set([
  // WordPress: the key of a password reset.
  'useractivationkey',
  // ASP.NET Identity: whether wrong passwords may lock the user out some day.
  'lockoutenabled',
  // Supabase: how far a change of the address is.
  'emailchangeconfirmstatus',
  // Keycloak: kinds of credentials that could be disabled.
  'disableablecredentialtypes',
  'lastactive',
  'lastactiveat',
  'lastactivity',
  'lastactivityat',
])

/** @returns the parts of a name, in lower case: `isActive`, `is_active` and `is-active` are `is`, `active` */
function partsOf(name: string): string[] {
  return name
    .slice(0, 100)
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
}

const suspiciousPart =
  /^(?:un|non|de|in|is)?(?:block(?!chain)|ban(?:ned|s)?$|lock(?!er)|suspend|suspension|disabl|activ(?!ity|ities)|enabl|delet|revok|deprovision|archiv|terminat)|^(?:status|frozen|freeze)$/
/** Of what is enabled or active then, it is not the user. */
const otherPart = /^(?:mfa|2fa|totp|otp|factor|twofactor|sms|notifications?|newsletter|marketing)$/

function looksLikeIt(name: string): boolean {
  const parts = partsOf(name)
  return parts.some(part => suspiciousPart.test(part)) && !parts.some(part => otherPart.test(part))
}

export type Blocked = Readonly<{
  /** Seconds since the epoch; undefined for a user who may sign in. */
  disabledAt?: number | undefined
  problems: readonly { member: string; problem: string }[]
}>

/** @param now seconds since the epoch: since when somebody is disabled of whom no time is known */
export function readBlocked(entry: Readonly<Record<string, unknown>>, now: number): Blocked {
  const problems: { member: string; problem: string }[] = []
  const said = new Map<Concept, { member: string; isBlocked: boolean }[]>()
  let since: number | undefined
  for (const [member, value] of Object.entries(entry)) {
    const name = plainName(member)
    const meaning = known.get(name)
    if (meaning === undefined) {
      const hasValue = !isAbsent(value)
      if (hasValue && looksLikeIt(member) && !harmless.has(name)) {
        const problem = 'may mean that this user is blocked; say it as disabled, or leave it out with --ignore'
        problems.push({ member, problem })
      } else if (hasValue && isRecord(value)) {
        const path = blockedWithin(value, now, 3)
        if (path !== undefined)
          problems.push({ member, problem: `says in ${path} that this user is blocked; say it as disabled beside it` })
      }
      continue
    }
    if (isAbsent(value)) continue
    const read = readMember(meaning, value, now)
    if (typeof read === 'string') {
      problems.push({ member, problem: read })
      continue
    }
    if (read === undefined) continue
    if (read.since !== undefined) since = Math.min(since ?? read.since, read.since)
    said.set(meaning.concept, [...(said.get(meaning.concept) ?? []), { member, isBlocked: read.isBlocked }])
  }
  for (const statements of said.values()) {
    const blocked = statements.find(({ isBlocked }) => isBlocked)
    const free = statements.find(({ isBlocked }) => !isBlocked)
    if (blocked === undefined || free === undefined) continue
    const last = statements.indexOf(blocked) > statements.indexOf(free) ? blocked : free
    const first = last === blocked ? free : blocked
    problems.push({ member: last.member, problem: `contradicts ${first.member}` })
  }
  const isBlocked = [...said.values()].flat().some(({ isBlocked }) => isBlocked)
  return { disabledAt: isBlocked ? (since ?? now) : undefined, problems }
}

/** True when a member is one that {@link readBlocked} understands. */
export const isBlockedMember = (member: string) => known.has(plainName(member)) || harmless.has(plainName(member))

/** @returns what a member says, undefined for nothing, or a text that says why it cannot be read */
function readMember(
  { reads }: Member,
  value: unknown,
  now: number,
): { isBlocked: boolean; since?: number } | undefined | string {
  if (reads === 'blocked if true' || reads === 'blocked if false') {
    const flag = parseFlag(value)
    return flag === undefined ? 'is not true or false' : { isBlocked: flag === (reads === 'blocked if true') }
  }
  if (reads === 'state') {
    // An address has a state as well, and many things a status: only words that are known are about the user.
    const state = String(value)
      .toLowerCase()
      .replace(/[\s-]+/g, '_')
    if (badStates.has(state)) return { isBlocked: true }
    if (goodStates.has(state)) return { isBlocked: false }
    return 'may mean that this user is blocked; say it as disabled, or leave it out with --ignore'
  }
  // A flag in the place of a time.
  if (reads !== 'own since' && (value === false || value === 0 || value === '0')) return undefined
  const at = parseInstant(value)
  if (typeof at === 'string') return at
  if (at === undefined) return undefined
  if (reads === 'until') return at > now ? { isBlocked: true } : undefined
  return { isBlocked: true, since: at }
}

/** Looks for members that say it in what stands below a member that means nothing here. @returns the path of one */
function blockedWithin(value: Readonly<Record<string, unknown>>, now: number, depth: number): string | undefined {
  for (const [member, inner] of Object.entries(value)) {
    const meaning = known.get(plainName(member))
    if (meaning !== undefined && !isAbsent(inner) && !isRecord(inner)) {
      const read = readMember(meaning, inner, now)
      if (typeof read === 'object' && read.isBlocked) return member
    } else if (isRecord(inner) && depth > 1) {
      const path = blockedWithin(inner, now, depth - 1)
      if (path !== undefined) return `${member}.${path}`
    }
  }
  return undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
