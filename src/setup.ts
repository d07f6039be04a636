/** Opens what a command works on: the database, the master secret and the signing keys, as the settings say. */
import { randomBytes as cryptoRandomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { constants, setPriority } from 'node:os'
import { dirname, join } from 'node:path'
import { type Config, ConfigError, envFile, type MasterSecretSource, readEnvFile, settings } from './config.ts'
import { type AuditEvent, auditEvent } from './oauth/audit.ts'
import type { Deps } from './oauth/deps.ts'
import {
  createSigningKey,
  keyState,
  newAlgLead,
  type OpenedKey,
  openSigningKey,
  type SigningAlg,
  type SigningKey,
} from './oauth/keys.ts'
import { createMasterSecret, type MasterSecrets, parseMasterSecrets } from './oauth/master_secret.ts'
import type { Storage } from './oauth/storage.ts'
import { readSmallFile } from './small_file.ts'

/** Seconds since the epoch: the only place that reads the clock. */
export const now = () => Math.floor(Date.now() / 1000)

let pool = Buffer.alloc(0)

/** Random bytes, from `node:crypto` 4 KiB at a time: each call there is a system call. None is given out twice. */
export function randomBytes(size: number): Buffer {
  if (size > pool.length) pool = cryptoRandomBytes(Math.max(size, 4096))
  const bytes = pool.subarray(0, size)
  pool = pool.subarray(size)
  return bytes
}

/**
 * Lets password hashes, which are all that the thread pool does, give way to everything else: a storm of sign-ins takes what the
 * refreshes leave. Only Linux has priorities for each thread.
 */
export function lowerPoolPriority(): void {
  const tasks = '/proc/self/task'
  if (!existsSync(tasks)) return
  for (const id of readdirSync(tasks)) {
    try {
      if (readFileSync(`${tasks}/${id}/comm`, 'utf8').startsWith('libuv-worker'))
        setPriority(Number(id), constants.priority.PRIORITY_BELOW_NORMAL)
    } catch {
      // Ended meanwhile, or not allowed here: it works without.
    }
  }
}

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

export type NewSigningKey = Readonly<{
  alg: SigningAlg
  /** The key made last, which it follows. */
  newest: SigningKey | undefined
  /** Seconds from now until it signs. */
  lead: number
  /** Of a key that an operator asked for; any other is nobody's. */
  createEvent?: (detail: string) => AuditEvent
}>

/** @returns the new key, or undefined when another process has just added one */
export async function addSigningKey(
  { storage, secrets, now }: Pick<Deps, 'storage' | 'secrets' | 'now'>,
  { alg, newest, lead, createEvent }: NewSigningKey,
): Promise<SigningKey | undefined> {
  // Never before the key it follows, or that one would sign again when it activates.
  const activatesAt = Math.max(now() + lead, newest?.activatesAt ?? 0)
  // Later than the newest, so that the order of keys is that of their making even within one second.
  const createdAt = Math.max(now(), newest === undefined ? 0 : newest.createdAt + 1)
  const key = await createSigningKey(alg, secrets, createdAt, activatesAt)
  const detail = `${alg} ${key.kid}`
  const event = createEvent?.(detail) ?? auditEvent('key.created', now(), {}, { detail })
  return (await storage.addSigningKey(key, newest?.kid, event)) ? key : undefined
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
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

/** @returns the files among these that anybody but their owner can read or write, with their modes */
export function looseFiles(paths: readonly string[]): { file: string; mode: string }[] {
  return paths.flatMap(file => {
    const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0
    return (mode & 0o077) === 0 ? [] : [{ file, mode: (mode & 0o777).toString(8).padStart(4, '0') }]
  })
}

/** The files of a deployment that hold what is nobody else's business. */
export function privateFiles({ databaseFile, secret }: Pick<Config, 'databaseFile' | 'secret'>): string[] {
  const files = ['', '-wal', '-shm'].map(suffix => databaseFile + suffix)
  if (readEnvFile().LATCHKEY_SECRET !== undefined) files.push(envFile)
  return [...files, ...(secret.kind === 'value' ? [] : [secret.path]), firstSignInFile(databaseFile)]
}

/** Where the first start writes the first password when nobody watches. */
export function firstSignInFile(databaseFile: string): string {
  return join(dirname(databaseFile), 'first-sign-in')
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
