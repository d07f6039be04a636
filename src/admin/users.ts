/** What operators do to users. */
import { printableBrief } from '../printable.ts'
import { disabledUpdate, passwordUpdate } from '../sessions/user_change.ts'
import { type Reading, readEmail, readFullName, readUsername } from '../text.ts'
import { passwordProblem, passwordProblemTexts } from '../users/password_rules.ts'
import { readRoles, rolesFromText } from '../users/roles.ts'
import { createUserId, type User, type UserUpdate } from '../users/user.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'
import { Conflict, InvalidMember, NotFound } from './error.ts'

export type UserDocument = ReturnType<typeof describeUser>

export type NewUser = Pick<User, 'username' | 'email' | 'fullName' | 'roles'>

/** What an operator says of a user, in the members of the JSON document. What is absent stays as it is; null or white space alone is none. */
export type UserSettings = Readonly<{
  username?: string | undefined
  email?: string | null | undefined
  full_name?: string | null | undefined
  roles?: readonly string[] | undefined
}>

/** @throws InvalidMember */
export function readNewUser(given: UserSettings & Readonly<{ username: string }>): NewUser {
  return { ...readUserUpdate(given), username: insistOn('username', readUsername(given.username)) }
}

/** @returns the members of the record that are named, and no others @throws InvalidMember */
export function readUserUpdate({ username, email, full_name: fullName, roles }: UserSettings): UserUpdate {
  const optional = (member: string, text: string | null, read: (text: string) => Reading) =>
    text?.trim() ? insistOn(member, read(text)) : undefined
  return {
    ...(username !== undefined && { username: insistOn('username', readUsername(username)) }),
    ...(email !== undefined && { email: optional('email', email, readEmail) }),
    ...(fullName !== undefined && { fullName: optional('full_name', fullName, readFullName) }),
    ...(roles !== undefined && { roles: rolesFromText(insistOn('roles', readRoles(roles))) }),
  }
}

function insistOn(member: string, { text, problem }: Reading): string {
  if (text === undefined) throw new InvalidMember(member, problem)
  return text
}

/** @throws InvalidMember for the password, Conflict for the name */
export async function createUser(
  { storage, passwords, now, randomBytes }: Needs<'storage' | 'passwords' | 'now' | 'randomBytes'>,
  given: NewUser,
  password: string,
  actor: Actor,
): Promise<UserDocument> {
  const user: User = {
    id: createUserId(randomBytes),
    ...given,
    passwordHash: await hashNewPassword(passwords, password),
    credentialVersion: 1,
    createdAt: now(),
  }
  const taken = await storage.createUsers([user], actorEvent(actor, 'user.created', now()))
  if (taken.length > 0) throw new Conflict('username_taken', `the username ${user.username} is taken`)
  return describeUser(user)
}

/** Changes what `update` names; sessions go on, and their tokens say it from the next refresh. @throws NotFound, Conflict for the name */
export async function updateUser(
  { storage, now }: Needs<'storage' | 'now'>,
  name: string,
  update: UserUpdate,
  actor: Actor,
): Promise<UserDocument> {
  const { id } = await getUser({ storage }, name)
  // What changed, and not to what: the trail outlives a user who wants to be forgotten.
  const detail = Object.keys(update)
    .map(member => (member === 'fullName' ? 'full_name' : member))
    .join(' ')
  const user = await storage.updateUser(id, update, actorEvent(actor, 'user.updated', now(), { userId: id, detail }))
  if (user === undefined) return gone(name)
  if (user === 'taken') throw new Conflict('username_taken', `the username ${update.username} is taken`)
  return describeUser(user)
}

/** By username. @param page at most `limit`, after a username */
export async function listUsers(
  { storage }: Needs<'storage'>,
  page: Readonly<{ after?: string | undefined; limit: number }>,
): Promise<UserDocument[]> {
  return (await storage.listUsers(page)).map(describeUser)
}

/** @throws NotFound */
export async function showUser({ storage }: Needs<'storage'>, username: string): Promise<UserDocument> {
  return describeUser(await getUser({ storage }, username))
}

/** Sets another password, which ends all sessions. @throws NotFound, InvalidMember */
export async function setPassword(
  { storage, passwords, now }: Needs<'storage' | 'passwords' | 'now'>,
  username: string,
  password: string,
  actor: Actor,
): Promise<UserDocument> {
  const user = await getUser({ storage }, username)
  const passwordHash = await hashNewPassword(passwords, password)
  const event = actorEvent(actor, 'user.password_changed', now(), { userId: user.id })
  await storage.changeUser(user.id, passwordUpdate(passwordHash, event))
  return describeUser(user)
}

/** Disables a user, which ends all sessions, or enables one. @throws NotFound */
export async function setUserDisabled(
  { storage, now }: Needs<'storage' | 'now'>,
  username: string,
  disabled: boolean,
  actor: Actor,
): Promise<UserDocument> {
  const { id } = await getUser({ storage }, username)
  const event = actorEvent(actor, disabled ? 'user.disabled' : 'user.enabled', now(), { userId: id })
  await storage.changeUser(id, disabledUpdate(disabled, event))
  return showUser({ storage }, username)
}

/** Removes a user with all sessions. @throws NotFound */
export async function removeUser(
  { storage, now }: Needs<'storage' | 'now'>,
  name: string,
  actor: Actor,
): Promise<{ removed: string }> {
  const { id, username } = await getUser({ storage }, name)
  await storage.removeUser(id, actorEvent(actor, 'user.removed', now(), { userId: id, detail: username }))
  return { removed: username }
}

/** @throws NotFound */
export async function getUser({ storage }: Needs<'storage'>, username: string): Promise<User> {
  const user = await storage.findUserByUsername(username)
  return user ?? gone(username)
}

function gone(username: string): never {
  throw new NotFound(`there is no user ${printableBrief(username)}`)
}

async function hashNewPassword(passwords: Needs<'passwords'>['passwords'], password: string): Promise<string> {
  const problem = await passwordProblem(password)
  if (problem !== undefined) throw new InvalidMember('password', passwordProblemTexts[problem])
  return passwords.hash(password)
}

function describeUser({ id, username, email, fullName, roles, passwordHash, createdAt, disabledAt }: User) {
  return {
    id,
    username,
    email: email ?? null,
    full_name: fullName ?? null,
    roles: roles ?? [],
    has_password: passwordHash !== undefined,
    created_at: createdAt,
    disabled_at: disabledAt ?? null,
  }
}
