/** First start on an empty database: one public client and one user, so that a first token is one command away. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { auditEvent } from './audit/audit.ts'
import { type Client, createClient, isPublic } from './clients/client.ts'
import type { Config } from './config.ts'
import type { Deps } from './oauth/deps.ts'
import { firstSignInFile } from './secret_file.ts'
import { createUserId, type SignInBy } from './users/user.ts'

const clientId = 'app'
const username = 'admin'

/**
 * Creates the client and the user, if there is neither a client nor a user yet; on a database that has never served, also the one of them of
 * whose kind there is none: who adds a user before the first start gets the client all the same.
 *
 * @param given.hasServed whether a server was started on this database before
 * @param terminal        where a person reads, or undefined: then the password goes into a file with mode 0600
 * @returns what was made, and the file's path when one was written
 */
export async function bootstrap(
  { storage, passwords, now, randomBytes }: Pick<Deps, 'storage' | 'passwords' | 'now' | 'randomBytes'>,
  { database, oauth: { signInBy } }: Pick<Config, 'database' | 'oauth'>,
  { url, hasServed }: Readonly<{ url: string; hasServed: boolean }>,
  terminal: { write: (text: string) => void } | undefined,
): Promise<Readonly<{ client?: string; file?: string }>> {
  const at = now()
  const client = createClient({
    id: clientId,
    grantTypes: ['password', 'refresh_token'],
    scope: 'read write',
    createdAt: at,
  })
  const clients = await storage.listClients()
  const hasUsers = (await storage.listUsers({ limit: 1 })).length > 0
  if (hasUsers ? clients.length > 0 || hasServed : clients.length > 0 && hasServed) return {}
  if (hasUsers) {
    const event = auditEvent('client.created', at, {}, { clientId, detail: 'first start' })
    return (await storage.createClient(client, event)) ? { client: clientId } : {}
  }

  const password = randomBytes(15).toString('base64url')
  const user = {
    id: createUserId(randomBytes),
    username,
    fullName: 'Administrator',
    passwordHash: await passwords.hash(password),
    credentialVersion: 1,
    createdAt: at,
  }
  const event = auditEvent('user.created', at, {}, { detail: 'first start' })
  const create = () =>
    clients.length === 0
      ? storage.bootstrap(client, user, event)
      : storage.createUsers([user], event).then(taken => taken.length === 0)
  const text = firstSignIn(url, password, clients.length === 0 ? client : clients.find(canSignIn), signInBy)
  if (terminal !== undefined) {
    if (await create()) terminal.write(`\n${text}\n`)
    return {}
  }
  const file = firstSignInFile(database)
  // Before the user exists: a crash between the two leaves a file without a user, never a user without a password. Of nodes that start
  // together one makes the user, so each has a file of its own until it is known which.
  const early = database.kind === 'file' ? file : `${file}.${randomBytes(6).toString('hex')}`
  writeWhole(early, text)
  const isFirst = await create()
  if (early !== file) {
    if (isFirst) renameSync(early, file)
    else rmSync(early)
  }
  return isFirst ? { file } : {}
}

/** @throws Error that says that nothing has been made */
function writeWhole(file: string, text: string): void {
  const partial = `${file}.partial`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    rmSync(partial, { force: true })
    writeFileSync(partial, text, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(partial, file)
  } catch (error) {
    rmSync(partial, { force: true })
    const why = (error as Error).message
    throw new Error(`cannot write the first password to ${file}, so no user has been made: ${why}`, { cause: error })
  }
}

/** As the lines below do: without a secret. */
function canSignIn(client: Client): boolean {
  return isPublic(client) && client.grantTypes.includes('password') && client.disabledAt === undefined
}

/** @param client that the user may sign in with, if there is one */
function firstSignIn(url: string, password: string, client: Client | undefined, signInBy: SignInBy): string {
  const made = client?.id === clientId ? `the public client "${clientId}" and ` : ''
  return `First start: ${made}the user "${username}" with this password:

  ${password}
${signInBy === 'email' ? addressFirst : ''}${client === undefined ? '' : firstRequests(url, password, client.id, signInBy === 'email' ? 'ADDRESS' : username)}
In a browser: ${url}/ is the account, ${url}/docs the API to try.

Change the password there, or by: npx latchkey user password ${username}
`
}

/** Nobody knows it at a first start. */
const addressFirst = `
Users sign in by their e-mail address here (LATCHKEY_SIGN_IN_BY): first give the user one, in the place of ADDRESS:

  npx latchkey user update ${username} --email ADDRESS
`

function firstRequests(url: string, password: string, client: string, name: string): string {
  return `
Sign in:

  printf %s 'grant_type=password&client_id=${client}&username=${name}&password=${password}' | curl -s ${url}/token -d @-

Refresh, with the refresh_token of the last answer:

  printf %s 'grant_type=refresh_token&client_id=${client}&refresh_token=REFRESH_TOKEN' | curl -s ${url}/token -d @-

Sign out, with the access_token of the last answer:

  printf %s 'Authorization: Bearer ACCESS_TOKEN' | curl -s -X POST ${url}/logout -H @-
`
}
