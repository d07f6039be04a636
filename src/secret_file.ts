/** The files of a deployment that are nobody else's business: the master secret, and what it opens. */
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Config, ConfigError, envFile, type MasterSecretSource, readEnvFile, settings } from './config.ts'
import { type OpenedKey, openSigningKey } from './keys/jws.ts'
import { createMasterSecret, type MasterSecrets, parseMasterSecrets } from './keys/master_secret.ts'
import { addSigningKey } from './keys/rotation.ts'
import { keyState, newAlgLead, type SigningAlg, type SigningKey } from './keys/signing_key.ts'
import { readSmallFile } from './small_file.ts'
import { parseDatabaseUrl } from './storage/postgres/url.ts'
import { type DatabaseSetting, folderOf } from './storage/setting.ts'
import type { Storage } from './storage/storage.ts'
import { now, randomBytes } from './system.ts'

/**
 * Reads the master secret, creating the file beside the database for a database that has nothing under one yet.
 *
 * @throws ConfigError in one line that never shows the secret
 */
export async function readMasterSecrets(source: MasterSecretSource, storage: Storage): Promise<MasterSecrets> {
  const { takes } = settings.LATCHKEY_SECRET
  if (source.kind === 'value') {
    return parseMasterSecrets(source.text) ?? fail(`LATCHKEY_SECRET has a value that cannot be used; it takes ${takes}`)
  }
  const text = readSecretFile(source.path)
  if (text !== undefined) {
    return parseMasterSecrets(text) ?? fail(`the master secret in ${source.path} cannot be used; it takes ${takes}`)
  }
  if (source.kind === 'file') fail('LATCHKEY_SECRET_FILE names a file that does not exist')
  if (!(await needsNoSecret(storage))) {
    fail(
      `the master secret ${source.path} is missing, and this database was made with one; bring it back or set LATCHKEY_SECRET_FILE`,
    )
  }
  createSecretFile(source.path, createMasterSecret(randomBytes))
  return (
    parseMasterSecrets(readSecretFile(source.path) ?? '') ?? fail(`the master secret in ${source.path} cannot be used`)
  )
}

/** Whether nothing in a database has been made under a master secret yet. */
export async function needsNoSecret(storage: Storage): Promise<boolean> {
  if ((await storage.listSigningKeys()).length > 0) return false
  return (await storage.listClients()).every(({ secretDigests }) => secretDigests.length === 0)
}

/**
 * Opens the signing keys, making the first one, or one of another algorithm when the setting has changed.
 *
 * @throws ConfigError when the master secret does not open the newest of them
 */
export async function openSigningKeys(storage: Storage, secrets: MasterSecrets, alg: SigningAlg): Promise<OpenedKey[]> {
  const stored = await storage.listSigningKeys()
  const newest = stored.at(-1)
  if (newest?.alg !== alg) {
    // The first key signs at once: nobody can have missed it. Any other is published first.
    await addSigningKey({ storage, secrets, now }, { alg, newest, lead: newest === undefined ? 0 : newAlgLead })
    return openSigningKeys(storage, secrets, alg)
  }
  return openKeys(stored, secrets)
}

/** Opens those that are still of use. @throws ConfigError when the master secret does not open one of them */
export async function openKeys(stored: readonly SigningKey[], secrets: MasterSecrets): Promise<OpenedKey[]> {
  const inUse = stored.filter(key => keyState(key, stored, now()) !== 'retired')
  const opened = await Promise.all(inUse.map(key => openSigningKey(key, secrets)))
  if (opened.includes(undefined))
    fail("the master secret is not the one that this database's signing keys were encrypted under")
  return opened as OpenedKey[]
}

/** Creates a master secret file, whole and on disk before anything is made under it; one that is there already stays. */
function createSecretFile(path: string, secret: string): void {
  const partial = `${path}.${process.pid}.partial`
  try {
    writeFileSync(partial, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true })
    linkSync(partial, path)
    syncFolder(dirname(path))
  } catch (error) {
    // Another process that started at the same moment was first: its secret is the one.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') fail(`cannot write ${path}: ${(error as Error).message}`)
  } finally {
    rmSync(partial, { force: true })
  }
}

/** Replaces what is in a master secret file, whole or not at all; it keeps its owner and mode. */
export function writeSecretFile(path: string, secrets: readonly string[]): void {
  const partial = `${path}.partial`
  try {
    const { uid, gid, mode } = statSync(path)
    rmSync(partial, { force: true })
    writeFileSync(partial, `${secrets.join(',')}\n`, { mode: 0o600, flag: 'wx', flush: true })
    // Run by root, it must stay readable for the server.
    chownSync(partial, uid, gid)
    chmodSync(partial, mode & 0o777)
    renameSync(partial, path)
    syncFolder(dirname(path))
  } catch (error) {
    rmSync(partial, { force: true })
    throw new Error(`cannot write ${path}: ${(error as Error).message}`, { cause: error })
  }
}

/** A rename is on disk when its folder is. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

/**
 * Root lends a file to this user by the right of a group, or by an access list, whose mask looks like that: from systemd 254 on a
 * credential of `LoadCredential=` has mode 0440 (systemd#29435), and so may have a secret that Kubernetes mounts.
 *
 * @returns the files among these that others can read or write, with their modes
 */
export function looseFiles(paths: readonly string[]): { file: string; mode: string }[] {
  return paths.flatMap(file => {
    const { mode = 0, uid } = statSync(file, { throwIfNoEntry: false }) ?? {}
    const isLent = uid === 0 && process.geteuid?.() !== 0
    const rightsOfOthers = isLent ? 0o037 : 0o077
    return (mode & rightsOfOthers) === 0 ? [] : [{ file, mode: (mode & 0o777).toString(8).padStart(4, '0') }]
  })
}

/** The files of a deployment that hold what is nobody else's business. */
export function privateFiles({ database, secret }: Pick<Config, 'database' | 'secret'>): string[] {
  const files =
    database.kind === 'file'
      ? ['', '-wal', '-shm'].map(suffix => database.path + suffix)
      : [database.url.passwordFile, ...(database.url.sslKey === undefined ? [] : [database.url.sslKey])]
  if (hasSecret(readEnvFile())) files.push(envFile)
  return [...files, ...(secret.kind === 'value' ? [] : [secret.path]), firstSignInFile(database)]
}

function hasSecret({
  LATCHKEY_SECRET,
  LATCHKEY_DATABASE_URL = '',
  PGPASSWORD,
}: Record<string, string | undefined>): boolean {
  // What does not say who connects says no password either.
  const url = parseDatabaseUrl(LATCHKEY_DATABASE_URL, {})
  return LATCHKEY_SECRET !== undefined || PGPASSWORD !== undefined || ('password' in url && url.password !== undefined)
}

/** Where the first start writes the first password when nobody watches. */
export function firstSignInFile(database: DatabaseSetting): string {
  return join(folderOf(database), 'first-sign-in')
}

function readSecretFile(path: string): string | undefined {
  try {
    return readSmallFile(path)
  } catch (error) {
    return fail(`cannot read the master secret ${path}: ${(error as Error).message}`)
  }
}

function fail(message: string): never {
  throw new ConfigError(message)
}
