/** What operators do to users. */
import { printableBrief } from '../printable.ts'
import { disabledUpdate, passwordUpdate, type UserChange } from '../sessions/user_change.ts'
import { type Reading, readFullName, readUsername } from '../text.ts'
import { readEmail } from '../users/email.ts'
import { type PasswordOwner, passwordProblem } from '../users/password_rules.ts'
import { readRoles, rolesFromText } from '../users/roles.ts'
import type { TakingOptions } from '../users/storage.ts'
import { createUserId, type TakenMember, type User, type UserUpdate } from '../users/user.ts'
import { type Actor, actorEvent, type Insist, type Needs } from './deps.ts'
import { Conflict, InvalidMember, NotFound } from './error.ts'

export type UserDocument = ReturnType<typeof describeUser>

/** Whom an operator means: by username, as a person types it, or by id. */
export type Who = string | Readonly<{ id: string }>

/** Whether an operator vouches that the user reads what is sent to the address. */
type Vouching = Readonly<{ isEmailVerified?: boolean }>

export type NewUser = Pick<User, 'username' | 'email' | 'fullName' | 'roles'> & Vouching
export type UserEdit = Omit<UserUpdate, 'emailVerifiedAt'> & Vouching

/** What an operator says of a user, in the members of the JSON document. What is absent stays as it is; null or white space alone is none. */
export type UserSettings = Readonly<{
  username?: string | undefined
  email?: string | null | undefined
  email_verified?: boolean | undefined
  full_name?: string | null | undefined
  roles?: readonly string[] | undefined
}>

/** @throws InvalidMember */
export function readNewUser(given: UserSettings & Readonly<{ username: string }>): NewUser {
  return { ...readUserUpdate(given), username: insistOn('username', readUsername(given.username)) }
}

/** @returns the members of the record that are named, and no others @throws InvalidMember */
export function readUserUpdate(given: UserSettings): UserEdit {
  const { username, email, email_verified: isEmailVerified, full_name: fullName, roles } = given
  const optional = (member: string, text: string | null, read: (text: string) => Reading) =>
    text?.trim() ? insistOn(member, read(text)) : undefined
  return {
    ...(username !== undefined && { username: insistOn('username', readUsername(username)) }),
    ...(email !== undefined && { email: optional('email', email, readEmail) }),
    ...(isEmailVerified !== undefined && { isEmailVerified }),
    ...(fullName !== undefined && { fullName: optional('full_name', fullName, readFullName) }),
    ...(roles !== undefined && { roles: rolesFromText(insistOn('roles', readRoles(roles))) }),
  }
}

function insistOn(member: string, { text, problem }: Reading): string {
  if (text === undefined) throw new InvalidMember(member, problem)
  return text
}

/** @throws InvalidMember for the password, Conflict for the name or the address */
export async function createUser(
  { storage, now, randomBytes, ...deps }: Needs<'storage' | 'passwords' | 'passwordSettings' | 'now' | 'randomBytes'>,
  { isEmailVerified = false, ...given }: NewUser,
  password: string,
  actor: Actor,
  options: TakingOptions = {},
): Promise<UserDocument> {
  const emailVerifiedAt = isEmailVerified ? now() : undefined
  if (isEmailVerified && given.email === undefined) refuseToVouch()
  const user: User = {
    id: createUserId(randomBytes),
    ...given,
    ...(emailVerifiedAt !== undefined && { emailVerifiedAt }),
    // Who is new has no second factor.
    passwordHash: await hashNewPassword(deps, password, { ...given, factors: [] }),
    credentialVersion: 1,
    createdAt: now(),
  }
  const [taken] = await storage.createUsers([user], actorEvent(actor, 'user.created', now()), options)
  if (taken !== undefined) throw conflictOf(taken.member, user)
  return describeUser(user)
}

/** Changes what `update` names; sessions go on, and their tokens say it from the next refresh. @throws NotFound, Stale, Conflict for the name or the address */
export async function updateUser(
  { storage, now }: Needs<'storage' | 'now'>,
  who: Who,
  { isEmailVerified, ...update }: UserEdit,
  actor: Actor,
  insist: Insist<UserDocument> = () => {},
  options: TakingOptions = {},
): Promise<UserDocument> {
  const { id, email: given } = await getUser({ storage }, who)
  // What changed, and not to what: the trail outlives a user who wants to be forgotten.
  const names = Object.keys(update).map(member => (member === 'fullName' ? 'full_name' : member))
  if (isEmailVerified !== undefined) names.push('email_verified')
  const event = actorEvent(actor, 'user.updated', now(), { userId: id, detail: names.join(' ') })
  const vouched = vouchedUpdate(isEmailVerified, 'email' in update ? update.email : given, now())
  const edit = { ...update, ...vouched }
  const user = await storage.updateUser(id, edit, event, before => insist(describeUser(before)), options)
  if (user === undefined) return gone(who)
  if (typeof user === 'string') throw conflictOf(user, update)
  return describeUser(user)
}

/** The address as it is read now: one from before that rule may be another text, or none that mails can go to. */
function vouchedUpdate(isVerified: boolean | undefined, email: string | undefined, now: number): UserUpdate {
  if (!isVerified) return isVerified === undefined ? {} : { emailVerifiedAt: undefined }
  const address = email === undefined ? undefined : readEmail(email).text
  return address === undefined ? refuseToVouch() : { email: address, emailVerifiedAt: now }
}

function refuseToVouch(): never {
  throw new InvalidMember('email_verified', 'needs an address that mails can go to')
}

function conflictOf(taken: TakenMember | `${TakenMember}_taken`, { username, email }: Partial<User>): Conflict {
  switch (taken) {
    case 'email':
    case 'email_taken':
      return new Conflict('email_taken', `the address ${email} is taken`)
    case 'reserved_username':
    case 'reserved_username_taken':
      return new Conflict('username_reserved', `the username ${username} is kept for who had it in the last 90 days`)
    default:
      return new Conflict('username_taken', `the username ${username} is taken`)
  }
}

/** By username. @param page at most `limit`, after a username */
export async function listUsers(
  { storage }: Needs<'storage'>,
  page: Readonly<{ after?: string | undefined; limit: number }>,
): Promise<UserDocument[]> {
  return (await storage.listUsers(page)).map(describeUser)
}

/** @throws NotFound */
export async function showUser({ storage }: Needs<'storage'>, who: Who): Promise<UserDocument> {
  return describeUser(await getUser({ storage }, who))
}

/** Sets another password, which ends all sessions. @throws NotFound, InvalidMember, Stale */
export async function setPassword(
  { storage, now, ...deps }: Needs<'storage' | 'passwords' | 'passwordSettings' | 'now'>,
  who: Who,
  password: string,
  actor: Actor,
  insist: Insist<UserDocument> = () => {},
): Promise<UserDocument> {
  const user = await getUser({ storage }, who)
  insist(describeUser(user))
  const passwordHash = await hashNewPassword(deps, password, { ...user, factors: await storage.listFactors(user.id) })
  const event = actorEvent(actor, 'user.password_changed', now(), { userId: user.id })
  await storage.changeUser(user.id, insisting(insist, passwordUpdate(passwordHash, event)))
  return showUser({ storage }, { id: user.id })
}

/** Disables a user, which ends all sessions, or enables one, who is not deleted then. @throws NotFound, Stale */
export async function setUserDisabled(
  { storage, now }: Needs<'storage' | 'now'>,
  who: Who,
  disabled: boolean,
  actor: Actor,
  insist: Insist<UserDocument> = () => {},
): Promise<UserDocument> {
  const { id } = await getUser({ storage }, who)
  const event = actorEvent(actor, disabled ? 'user.disabled' : 'user.enabled', now(), { userId: id })
  await storage.changeUser(id, insisting(insist, disabledUpdate(disabled, event)))
  return showUser({ storage }, { id })
}

/** Removes a user with all sessions; nobody gets the username for 90 days. @throws NotFound, Stale */
export async function removeUser(
  { storage, now }: Needs<'storage' | 'now'>,
  who: Who,
  actor: Actor,
  insist: Insist<UserDocument> = () => {},
): Promise<{ removed: string }> {
  const { id, username } = await getUser({ storage }, who)
  const event = actorEvent(actor, 'user.removed', now(), { userId: id, detail: username })
  if (!(await storage.removeUser(id, event, user => insist(describeUser(user))))) gone(who)
  return { removed: username }
}

/** @throws NotFound */
export async function getUser({ storage }: Needs<'storage'>, who: Who): Promise<User> {
  const user = typeof who === 'string' ? await storage.findUserByUsername(who) : await storage.findUser(who.id)
  return user ?? gone(who)
}

function gone(who: Who): never {
  throw new NotFound(`there is no user ${printableBrief(typeof who === 'string' ? who : who.id)}`)
}

/** A decision about a user that somebody has seen before, in the transaction that writes what it comes to. */
function insisting<Outcome>(
  insist: Insist<UserDocument>,
  decide: (user: User | undefined) => UserChange<Outcome>,
): (user: User | undefined) => UserChange<Outcome> {
  return user => {
    if (user !== undefined) insist(describeUser(user))
    return decide(user)
  }
}

async function hashNewPassword(
  { passwords, passwordSettings }: Needs<'passwords' | 'passwordSettings'>,
  password: string,
  owner: PasswordOwner,
): Promise<string> {
  const wrong = await passwordProblem(passwordSettings, passwords, password, owner)
  if (wrong !== undefined) throw new InvalidMember('password', wrong.text)
  return passwords.hash(password)
}

function describeUser(user: User) {
  const { id, username, email, emailVerifiedAt, fullName, roles, passwordHash, createdAt, disabledAt, deleteAt } = user
  return {
    id,
    username,
    email: email ?? null,
    email_verified: email !== undefined && emailVerifiedAt !== undefined,
    full_name: fullName ?? null,
    roles: roles ?? [],
    has_password: passwordHash !== undefined,
    created_at: createdAt,
    disabled_at: disabledAt ?? null,
    delete_at: deleteAt ?? null,
  }
}
