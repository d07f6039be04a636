/** First start on an empty database: one public client and one user, so that a first token is one command away. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { auditEvent } from './audit/audit.ts'
import { createClient } from './clients/client.ts'
import type { Config } from './config.ts'
import type { Deps } from './oauth/deps.ts'
import { firstSignInFile } from './secret_file.ts'
import { createUserId } from './users/user.ts'

const clientId = 'app'
const username = 'admin'

/**
 * Creates the client and the user, if there is neither a client nor a user yet.
 *
 * @param terminal where a person reads, or undefined: then the password goes into a file with mode 0600
 * @returns the file's path when one was written
 */
export async function bootstrap(
  { storage, passwords, now, randomBytes }: Pick<Deps, 'storage' | 'passwords' | 'now' | 'randomBytes'>,
  { database }: Pick<Config, 'database'>,
  url: string,
  terminal: { write: (text: string) => void } | undefined,
): Promise<string | undefined> {
  if ((await storage.listClients()).length > 0 || (await storage.listUsers({ limit: 1 })).length > 0) return undefined

  const password = randomBytes(15).toString('base64url')
  const at = now()
  const client = createClient({
    id: clientId,
    grantTypes: ['password', 'refresh_token'],
    scope: 'read write',
    createdAt: at,
  })
  const passwordHash = await passwords.hash(password)
  const user = {
    id: createUserId(randomBytes),
    username,
    fullName: 'Administrator',
    passwordHash,
    credentialVersion: 1,
    createdAt: at,
  }
  const event = auditEvent('user.created', at, {}, { detail: 'first start' })
  const text = firstSignIn(url, password)
  if (terminal !== undefined) {
    if (await storage.bootstrap(client, user, event)) terminal.write(`\n${text}\n`)
    return undefined
  }
  const file = firstSignInFile(database)
  // Before the user exists: a crash between the two leaves a file without a user, never a user without a password. Of nodes that start
  // together one makes the user, so each has a file of its own until it is known which.
  const early = database.kind === 'file' ? file : `${file}.${randomBytes(6).toString('hex')}`
  writeWhole(early, text)
  const isFirst = await storage.bootstrap(client, user, event)
  if (early !== file) {
    if (isFirst) renameSync(early, file)
    else rmSync(early)
  }
  return isFirst ? file : undefined
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

function firstSignIn(url: string, password: string): string {
  return `First start: the public client "${clientId}" and the user "${username}" with this password:

  ${password}

Sign in:

  printf %s 'grant_type=password&client_id=${clientId}&username=${username}&password=${password}' | curl -s ${url}/token -d @-

Refresh, with the refresh_token of the last answer:

  printf %s 'grant_type=refresh_token&client_id=${clientId}&refresh_token=REFRESH_TOKEN' | curl -s ${url}/token -d @-

Sign out, with the access_token of the last answer:

  printf %s 'Authorization: Bearer ACCESS_TOKEN' | curl -s -X POST ${url}/logout -H @-

In a browser: ${url}/ is the account, ${url}/docs the API to try.

Change the password there, or by: npx latchkey user password ${username}
`
}
