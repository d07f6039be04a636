/**
 * Sign-up: an address is proved first, by the link or the code in a mail to it, and only then is there a username and a password. So
 * nobody can have made an account with somebody else's address before its owner comes (pre-hijacking), and a stranger who types an
 * address learns nothing of whether it has an account: whoever reads its mail is told. An invitation is the same link, made by an operator.
 */
import { auditEvent, type Caller } from '../audit/audit.ts'
import type { ClientStorage } from '../clients/storage.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { createChallenge, formatChallenge } from '../mail/code.ts'
import { linkLifetimes, linkUse, type MailLink } from '../mail/link.ts'
import { createMail } from '../mail/mail.ts'
import type { MailStorage } from '../mail/storage.ts'
import type { Language } from '../pages/language.ts'
import { isOtherAddress, type NameFault, type NameReading, readFullName, readUsername, usernameFold } from '../text.ts'
import type { Throttle } from '../throttle/throttle.ts'
import { readEmail } from '../users/email.ts'
import type { Passwords } from '../users/password.ts'
import { type PasswordProblem, type PasswordSettings, passwordProblem } from '../users/password_rules.ts'
import { rolesFromText } from '../users/roles.ts'
import type { UserStorage } from '../users/storage.ts'
import { createUserId, type User } from '../users/user.ts'
import { askForMail } from './ask_for_mail.ts'

export type SignUpRequestDeps = Readonly<{
  storage: Pick<MailStorage, 'addMail'>
  throttle: Pick<Throttle, 'mail'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

export type SignUpRequest = Readonly<{
  /** As it was typed. */
  email: string
  /** Of the app that asks; undefined for a page. */
  clientId: string | undefined
  /** What the person reads. */
  language: Language | undefined
}>

/**
 * Puts a mail among those to be sent, which proves an address. What is answered and written is the same for every address: whether it
 * has an account is looked up when the mail is made.
 *
 * @returns the challenge that waits for its code, and seconds until that is over
 * @throws OAuthError `invalid_request` for what is no address; `too_many_attempts`; `temporarily_unavailable` when too many mails wait
 */
export async function requestSignUp(
  deps: SignUpRequestDeps,
  { email, clientId, language }: SignUpRequest,
  caller: Caller,
): Promise<Readonly<{ challenge: string; expiresIn: number }>> {
  const { text: address, problem } = readEmail(email)
  if (problem !== undefined) throw new OAuthError('invalid_request', `email ${problem}`)
  const { storage, now, randomBytes } = deps
  await deps.throttle.mail(address, caller)
  const expiresIn = linkLifetimes.sign_up
  const about = { ...(clientId !== undefined && { client_id: clientId }), ...(language !== undefined && { language }) }
  const challenge = createChallenge(
    { purpose: 'sign_up', clientId, userId: undefined, address, about, expiresAt: now() + expiresIn },
    randomBytes,
  )
  const mail = createMail('sign_up', { address, language, about: { ...about, challenge_id: challenge.id } }, deps)
  await askForMail(storage, mail)
  return { challenge: formatChallenge(challenge, deps), expiresIn }
}

/** Whether people may sign up still where a link or a code was asked for; who is invited may always. */
export async function maySignUp(
  { config, storage }: Readonly<{ config: Readonly<{ signUp: boolean }>; storage: Pick<ClientStorage, 'findClient'> }>,
  { purpose, about }: MailLink,
): Promise<boolean> {
  if (purpose === 'invitation') return true
  if (about?.client_id === undefined) return config.signUp
  const client = await storage.findClient(about.client_id)
  return client?.signUp === true && client.disabledAt === undefined
}

export type SignUpDeps = Readonly<{
  config: PasswordSettings
  storage: UserStorage
  passwords: Pick<Passwords, 'hash' | 'isBreached'>
  throttle: Pick<Throttle, 'newUsername' | 'newAccount'>
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/** What somebody chose who has proved an address, as it was typed. */
export type NewAccount = Readonly<{
  username: string | undefined
  password: string | undefined
  fullName: string | undefined
  language: Language | undefined
}>

export type NameProblem = Readonly<{ problem: NameFault | 'address' | 'taken'; text: string }>

/** What is wrong with what was chosen. `text` goes on after the name of the member; that of a password is a sentence. */
export type AccountProblems = Readonly<{
  username?: NameProblem | undefined
  fullName?: Readonly<{ text: string }> | undefined
  password?: PasswordProblem | Readonly<{ problem: 'missing'; text: string }> | undefined
}>

export type SignUpOutcome = Readonly<
  | { kind: 'done'; user: User }
  | { kind: 'refused'; problems: AccountProblems }
  /** The address has an account meanwhile, which may be this one. */
  | { kind: 'have_account' }
  /** What proved the address has been used. */
  | { kind: 'over' }
>

/**
 * Makes the account, with an address that is verified. Nothing is used up before it is there.
 *
 * @param link of the purpose `sign_up` or `invitation`, of who has the mail
 * @throws OAuthError `too_many_attempts` or `temporarily_unavailable`
 */
export async function signUp(
  deps: SignUpDeps,
  link: MailLink,
  chosen: NewAccount,
  caller: Caller,
): Promise<SignUpOutcome> {
  const { storage, throttle, now, randomBytes } = deps
  const { id, address = '', about = {}, expiresAt } = link
  if ((await storage.findUserOfAddress(address)) !== undefined) return { kind: 'have_account' }
  const username = readUsername(chosen.username?.trim() ?? '')
  const fullName = readFullName(chosen.fullName ?? '')
  const named = chosen.fullName?.trim() ? fullName : undefined
  const problems: AccountProblems = {
    username: nameProblem(username, address),
    fullName: named?.problem === undefined ? undefined : { text: named.problem },
    password: await problemOfPassword(deps, chosen, username.text ?? '', address),
  }
  if (username.text === undefined || Object.values(problems).some(one => one !== undefined))
    return { kind: 'refused', problems }
  const draft = { id: createUserId(randomBytes), username: username.text, credentialVersion: 1, createdAt: now() }
  // Before the hash, which costs more than all else. It is decided where the user is made.
  if (await isTaken(deps, draft, address)) return taken
  const isInvitation = link.purpose === 'invitation'
  if (!isInvitation) await throttle.newAccount(caller)
  const user: User = {
    ...draft,
    email: address,
    emailVerifiedAt: now(),
    fullName: named?.text,
    roles: about.roles === undefined ? undefined : rolesFromText(about.roles),
    language: chosen.language ?? (about.language as Language | undefined),
    passwordHash: await deps.passwords.hash(chosen.password!),
  }
  const detail = isInvitation ? `invitation ${id}` : undefined
  const event = auditEvent('user.signed_up', now(), caller, { userId: user.id, clientId: about.client_id, detail })
  const made = await storage.createProvenUser(user, { id: linkUse(link), expiresAt }, event)
  switch (made) {
    case 'created':
      return { kind: 'done', user }
    case 'email_taken':
      return { kind: 'have_account' }
    case 'username_taken':
      return taken
    case 'used':
      return { kind: 'over' }
  }
}

const taken: SignUpOutcome = {
  kind: 'refused',
  problems: { username: { problem: 'taken', text: 'is taken' } },
}

/** Says who is called something to nobody but who has proved an address, and not to try out a list of names. */
async function isTaken({ storage, throttle }: SignUpDeps, draft: User, address: string): Promise<boolean> {
  try {
    await throttle.newUsername(usernameFold(address), async () => {
      if ((await storage.findTakenUsers([draft])).length > 0) throw new OAuthError('invalid_grant', 'it is taken')
    })
    return false
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_grant') throw error
    return true
  }
}

function nameProblem(reading: NameReading, address: string): NameProblem | undefined {
  if (reading.text === undefined) return { problem: reading.kind, text: reading.problem }
  if (!isOtherAddress(reading.text, address)) return undefined
  return { problem: 'address', text: 'is an address other than the one that was proved' }
}

async function problemOfPassword(
  { config, passwords }: SignUpDeps,
  { password }: NewAccount,
  username: string,
  email: string,
): Promise<AccountProblems['password']> {
  if (password === undefined) return { problem: 'missing', text: 'the password is missing' }
  // Who is new has no second factor.
  return passwordProblem(config, passwords, password, { username, email, factors: [] })
}

/** How a program is told what is wrong: all of it at once, but for a username that is taken. */
export function accountError({ username, fullName, password }: AccountProblems): OAuthError {
  if (username?.problem === 'taken') return new OAuthError('username_taken', 'the username is taken')
  const problems = [
    username && `username ${username.text}`,
    fullName && `full_name ${fullName.text}`,
    password?.text,
  ].filter(problem => problem !== undefined)
  return new OAuthError('invalid_request', problems.join('; '))
}
