/** What operators do to users. */
import { printableBrief } from '../printable.ts'
import { disabledUpdate, passwordUpdate } from '../sessions/user_change.ts'
import { type Reading, readEmail, readFullName, readUsername } from '../text.ts'
import { passwordProblem, passwordProblemTexts } from '../users/password_rules.ts'
import { createUserId, type User } from '../users/user.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'
import { Conflict, InvalidMember, NotFound } from './error.ts'

export type UserDocument = ReturnType<typeof describeUser>

export type NewUser = Pick<User, 'username' | 'email' | 'fullName'>

/** @throws InvalidMember */
export function readNewUser(
  given: Readonly<{ username: string; email?: string | undefined; full_name?: string | undefined }>,
): NewUser {
  const optional = (member: string, text: string | undefined, read: (text: string) => Reading) =>
    text?.trim() ? insistOn(member, read(text)) : undefined
  return {
    username: insistOn('username', readUsername(given.username)),
    email: optional('email', given.email, readEmail),
    fullName: optional('full_name', given.full_name, readFullName),
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
  if (user === undefined) throw new NotFound(`there is no user ${printableBrief(username)}`)
  return user
}

async function hashNewPassword(passwords: Needs<'passwords'>['passwords'], password: string): Promise<string> {
  const problem = await passwordProblem(password)
  if (problem !== undefined) throw new InvalidMember('password', passwordProblemTexts[problem])
  return passwords.hash(password)
}

function describeUser({ id, username, email, fullName, passwordHash, createdAt, disabledAt }: User) {
  return {
    id,
    username,
    email: email ?? null,
    full_name: fullName ?? null,
    has_password: passwordHash !== undefined,
    created_at: createdAt,
    disabled_at: disabledAt ?? null,
  }
}
