/**
 * What stands where in an entry of a file of users: the names that programs have for the same thing, and the shapes of their own
 * exports (docs/import.md). Everything becomes the members that `user export` writes.
 */
import { isAbsent, parseFlag, parseMilliseconds, plainName } from './user_values.ts'

/** Of a Firebase project: what its hashes were made with, and its export does not say. */
export type FirebaseHashConfig = Readonly<{
  signerKey: string
  saltSeparator: string
  rounds: number
  memoryCost: number
}>

export type Entry = Readonly<Record<string, unknown>>

const ownNames = [
  'id',
  'username',
  'hashed_password',
  'email',
  'email_verified',
  'full_name',
  'roles',
  'created_at',
] as const
type OwnName = (typeof ownNames)[number]

export type Members = Readonly<{
  values: Readonly<Partial<Record<OwnName, unknown>>>
  /** What the members are called in the file, for messages. */
  sources: Readonly<Partial<Record<OwnName, string>>>
  /** Members that have been read, or mean nothing because another says the same. */
  used: ReadonlySet<string>
}>

/** Ours first; then Django, Auth0, Firebase, WordPress, Rails' Devise and has_secure_password, Supabase, ASP.NET Identity. */
const names: Readonly<Record<OwnName, readonly string[]>> = {
  id: ['id'],
  username: ['username', 'userlogin', 'login', 'preferredusername'],
  hashed_password: ['hashedpassword', 'passwordhash', 'encryptedpassword', 'userpass', 'passworddigest', 'password'],
  email: ['email', 'useremail', 'emailaddress', 'mail'],
  email_verified: ['emailverifiedat', 'emailconfirmedat', 'emailverified', 'isemailverified', 'emailconfirmed'],
  full_name: ['fullname', 'displayname', 'name'],
  roles: ['roles'],
  created_at: ['createdat', 'created', 'datejoined', 'userregistered', 'createdtimestamp', 'creationtime'],
}
const givenNames = ['firstname', 'givenname']
const familyNames = ['lastname', 'familyname']
const phones = ['phone', 'phonenumber']

const every = new Map(ownNames.flatMap(own => names[own].map(name => [name, own] as const)))

/** Whether a name is one that something of a user has in some program. */
export const isUserMember = (name: string) => every.has(plainName(name))
export const isSignInName = (name: string) => ['username', 'email'].includes(every.get(plainName(name)) ?? '')

/** A hash under another name would be lost without a word. */
const looksLikePassword = (name: string) =>
  /pass|pwd|hash|digest|secret|credential/i.test(name) && !/reset|change|expire|token|_at$|date|updat|last/i.test(name)

/** @returns a member that may be the hash of an entry without any */
export function unreadPassword(entry: Entry, { values, used }: Members): string | undefined {
  if (values.hashed_password !== undefined) return undefined
  return Object.entries(entry).find(
    ([name, value]) => typeof value === 'string' && !used.has(name) && !isAbsent(value) && looksLikePassword(name),
  )?.[0]
}

/** @throws Error in words for the operator, where a shape is known and what is in it is not */
export function readMembers(entry: Entry, firebase: FirebaseHashConfig | undefined): Members {
  const values: Partial<Record<OwnName, unknown>> = {}
  const sources: Partial<Record<OwnName, string>> = {}
  const used = new Set<string>()
  const byName = new Map<string, string>()
  for (const member of Object.keys(entry)) if (!byName.has(plainName(member))) byName.set(plainName(member), member)
  /** Whatever has a value is taken; the first of them names the value, the others say the same. */
  const take = (candidates: readonly string[]) => {
    let found: string | undefined
    for (const [i, name] of candidates.entries()) {
      const member = byName.get(name)
      // Under a name that is not ours, what is no text means something else.
      if (member === undefined || (i > 0 && isRecord(entry[member]) && !('$date' in entry[member]))) continue
      if (found === undefined && !isAbsent(entry[member])) found = member
      if (found === member || isAbsent(entry[member])) used.add(member)
    }
    return found
  }
  for (const own of ownNames) {
    const member = take(names[own])
    if (member === undefined) continue
    values[own] = entry[member]
    sources[own] = member
  }

  if (values.full_name === undefined) {
    const parts = [take(givenNames), take(familyNames)].flatMap(member => (member === undefined ? [] : [member]))
    const texts = parts.map(member => entry[member]).filter(part => typeof part === 'string')
    if (texts.length > 0) Object.assign(values, { full_name: texts.join(' ').trim() })
  }
  const proofs = names.email_verified.flatMap(name => byName.get(name) ?? [])
  // Of two that do not say the same, the one that says no.
  const denial = proofs.find(member => parseFlag(entry[member]) === false)
  if (denial !== undefined) values.email_verified = false
  for (const member of proofs) used.add(member)
  // Devise has it without the name of what is confirmed. Supabase has both, and that one counts for a phone as well.
  if (!byName.has('emailconfirmedat')) values.email_verified ??= entry[take(['confirmedat']) ?? '']
  readForeign(entry, firebase, values, used)
  // Auth0's name is the address of those who gave none.
  if (values.full_name === values.email) delete values.full_name
  if (values.username === undefined) {
    const member = values.email === undefined ? take(phones) : sources.email
    values.username = values.email ?? (member && entry[member])
    if (member !== undefined) sources.username = member
  }
  return { values, sources, used }
}

/** True for what no person signs in with: service accounts of Keycloak's clients, anonymous users of Firebase and Supabase. */
export function isNobody(entry: Entry, { values }: Members): boolean {
  if (!isAbsent(entry.serviceAccountClientId)) return true
  return values.username === undefined && ('localId' in entry || 'is_anonymous' in entry)
}

function readForeign(
  entry: Entry,
  firebase: FirebaseHashConfig | undefined,
  values: Partial<Record<OwnName, unknown>>,
  used: Set<string>,
): void {
  if ('localId' in entry) {
    if (values.hashed_password !== undefined)
      values.hashed_password = firebaseHash(String(values.hashed_password), String(entry.salt ?? ''), firebase)
    used.add('salt')
    values.created_at = parseTime(values.created_at)
  }
  if ('createdTimestamp' in entry) values.created_at = parseTime(values.created_at)
  if (Array.isArray(entry.credentials)) {
    const hash = entry.credentials.map(keycloakHash).find(found => found !== undefined)
    if (hash !== undefined) values.hashed_password ??= hash
    used.add('credentials')
  }
  // Supabase keeps the name among what the app stored.
  const meta = parseRecord(entry.raw_user_meta_data)
  if (meta !== undefined) values.full_name ??= meta.full_name ?? meta.name
  // Auth0's dumps have the address only here for some users.
  if (Array.isArray(entry.identifiers)) {
    const email = entry.identifiers.find(identifier => isRecord(identifier) && identifier.type === 'email')
    if (values.email === undefined) Object.assign(values, { email: email?.value, email_verified: email?.verified })
    used.add('identifiers')
  }
}

/** What is wrong stays as it is, for the message of the member. */
function parseTime(value: unknown): unknown {
  const at = value === undefined ? undefined : parseMilliseconds(value)
  return typeof at === 'string' ? value : at
}

function firebaseHash(hash: string, salt: string, config: FirebaseHashConfig | undefined): string {
  if (config === undefined)
    throw new Error('is one of Firebase, which needs the parameters of the project: --firebase-hash-config FILE')
  const { memoryCost, rounds, saltSeparator, signerKey } = config
  return `$fbscrypt$v=1,n=${memoryCost},r=${rounds},p=1,ss=${saltSeparator},sk=${signerKey}$${salt}$${hash}`
}

/** A credential of Keycloak, whose two halves are JSON in texts. @returns undefined for one that is no password */
function keycloakHash(credential: unknown): string | undefined {
  if (!isRecord(credential) || credential.type !== 'password') return undefined
  const [secret, data] = [parseRecord(credential.secretData), parseRecord(credential.credentialData)]
  const { value, salt } = secret ?? {}
  const { algorithm, hashIterations, additionalParameters } = data ?? {}
  if (typeof value !== 'string' || typeof algorithm !== 'string') return 'keycloak'
  const unpadded = (text: unknown) => String(text ?? '').replace(/=+$/, '')
  if (algorithm === 'argon2') {
    const parameters = isRecord(additionalParameters) ? additionalParameters : {}
    const first = (name: string) => (Array.isArray(parameters[name]) ? parameters[name][0] : undefined)
    const costs = `m=${first('memory')},t=${hashIterations},p=${first('parallelism')}`
    return `$argon2${first('type')}$v=${first('version') === '1.3' ? 19 : 16}$${costs}$${unpadded(salt)}$${unpadded(value)}`
  }
  if (/^pbkdf2(?:-sha(?:256|512))?$/.test(algorithm))
    return `$${algorithm}$${hashIterations}$${unpadded(salt)}$${unpadded(value)}`.replaceAll('+', '.')
  // What extensions make, such as bcrypt, is the whole hash.
  return value
}

function parseRecord(value: unknown): Entry | undefined {
  try {
    const parsed = typeof value === 'string' ? JSON.parse(value) : value
    return isRecord(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

/** @param text what the Firebase console shows under "Password hash parameters", or the hashConfig of the project as JSON */
export function parseFirebaseHashConfig(text: string): FirebaseHashConfig | undefined {
  const find = (pattern: string, value: string) =>
    new RegExp(`(?:^|[^A-Za-z0-9])(?:${pattern})["']?\\s*[:=]\\s*["']?(${value})`).exec(text.slice(0, 10_000))?.[1]
  const signerKey = find('base64_signer_key|signer_?[kK]ey', '[A-Za-z0-9+/_-]{22,344}={0,2}')
  const saltSeparator = find('base64_salt_separator|salt_?[sS]eparator', '[A-Za-z0-9+/_-]{0,64}={0,2}')
  const rounds = find('rounds', '\\d{1,3}')
  const memoryCost = find('mem_cost|memory_?[cC]ost', '\\d{1,2}')
  if (signerKey === undefined || saltSeparator === undefined || rounds === undefined || memoryCost === undefined)
    return undefined
  return { signerKey, saltSeparator, rounds: Number(rounds), memoryCost: Number(memoryCost) }
}

/** @returns the entries of a document that is an export as a whole, undefined for another */
export function exportedEntries(whole: unknown): readonly unknown[] | undefined {
  // Firebase and Keycloak.
  return isRecord(whole) && Array.isArray(whole.users) ? whole.users : undefined
}

/** @returns an entry without what its program wraps it in: Django's `dumpdata` has the members in `fields` */
export function unwrapEntry(value: unknown): unknown {
  return isRecord(value) && typeof value.model === 'string' && isRecord(value.fields) ? value.fields : value
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
