/** What the commands share: opening and closing the database, one form of output, secrets from stdin or a terminal. */
import { isUtf8 } from 'node:buffer'
import { readFileSync, writeSync } from 'node:fs'
import { userInfo } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { buffer as readBytes } from 'node:stream/consumers'
import { InvalidArgumentError } from 'commander'
import type { Actor, AdminDeps } from '../admin/deps.ts'
import { Conflict, type ConflictCode, InvalidMember } from '../admin/error.ts'
import { openBreachedPasswords } from '../breached_passwords.ts'
import { type Config, readConfig, readEnvironment } from '../config.ts'
import { OAuthError } from '../error.ts'
import { formatJson, printable, printableBrief, printableLines } from '../printable.ts'
import { readMasterSecrets } from '../secret_file.ts'
import { isFile } from '../sink.ts'
import { openStorage } from '../storage/open.ts'
import { OutcomeUnknown } from '../storage/outcome.ts'
import { now, randomBytes } from '../system.ts'
import { isTypeable } from '../text.ts'
import { createPasswords } from '../users/password.ts'

/** Something that the person at the keyboard has to say differently: exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** What a command was to print got lost. */
export class OutputError extends Error {
  override name = 'OutputError'

  constructor(cause: unknown) {
    super(`cannot write to stdout: ${(cause as Error).message}; what the command changed stays changed`, { cause })
  }
}

/** Milliseconds: to count the sessions of a client that has millions. */
const maxStatement = 600_000

/** Opens the database that the settings name, runs, closes it. */
export async function withAdmin(run: (deps: AdminDeps, config: Config) => Promise<void>): Promise<void> {
  const config = readConfig(readEnvironment())
  const { storage } = await openStorage(config.database, { migrates: false, maxStatement })
  let made: ReturnType<typeof createPasswords> | undefined
  // Made with its first hash: few commands need one.
  const passwords = async () =>
    (made ??= createPasswords(config.passwordHashing, randomBytes, openBreachedPasswords(config)))
  const deps: AdminDeps = {
    storage,
    secrets: () => readMasterSecrets(config.secret, storage),
    passwords: {
      hash: async password => (await passwords()).hash(password),
      isBreached: async password => (await passwords()).isBreached(password),
    },
    passwordSettings: config.oauth,
    now,
    randomBytes,
  }
  try {
    await run(deps, config)
  } catch (error) {
    throw withReason(error)
  } finally {
    await storage.close()
  }
}

/** Where links lead to: as the settings say, or as the server called itself when it started last. */
export async function issuerOf({ storage }: Pick<AdminDeps, 'storage'>, { issuer, port }: Config): Promise<string> {
  // Nothing is kept of one with a port that was free.
  return issuer ?? ((await storage.findLastIssuer()) || `http://localhost:${port}`)
}

/** Clients hear no reason why the database cannot be used; who runs a command does. */
function withReason(error: unknown): unknown {
  if (!(error instanceof OAuthError && error.cause instanceof Error)) return error
  const { cause } = error
  const may =
    cause instanceof OutcomeUnknown ? '; it may have done all the same what it was told: look before you repeat it' : ''
  return new Error(`${error.message}: ${cause.message}${may}`, { cause: error })
}

/**
 * Says what is wrong with a member of a document in words for the command line.
 *
 * @param names what the members are called there; '' for one whose problem is a whole sentence
 * @throws UsageError in the place of InvalidMember
 */
export async function withOptionNames<T>(
  names: Readonly<Record<string, string>>,
  run: () => T | Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof InvalidMember)) throw error
    const { member, value, problem } = error
    const name = member === undefined ? '' : (names[member] ?? member)
    const what = value === undefined ? name : `${name} ${printableBrief(value)}:`
    throw new UsageError([what, printable(problem)].filter(part => part !== '').join(' '), { cause: error })
  }
}

/** Adds to what a conflict is, by its code, what this command line can do about it. */
export async function withConflictHints<T>(
  hints: Readonly<Partial<Record<ConflictCode, string>>>,
  run: () => T | Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof Conflict)) throw error
    throw new Error(error.message + (hints[error.code] ?? ''), { cause: error })
  }
}

let hasPrinted = false

/** Whether {@link print} has been called since this was asked last: then stdout has a part of a document already. */
export function takeHasPrinted(): boolean {
  const before = hasPrinted
  hasPrinted = false
  return before
}

/** Prints one JSON document or text for a person. */
export function output(options: { json?: true }, document: unknown, text: string): void {
  print(`${options.json ? formatJson(document) : printableLines(text)}\n`)
}

/**
 * Writes to stdout, to a file all of it: Node's own stream takes a write that was cut short by a full disk for a success.
 *
 * @returns false when it is better to wait for `drain`
 */
export function print(text: string): boolean {
  hasPrinted = true
  if (!isFile(process.stdout)) return process.stdout.write(text)
  let rest = Buffer.from(text)
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(process.stdout.fd, rest))
  } catch (error) {
    throw new OutputError(error)
  }
  return true
}

/** Rows as aligned columns under their headings; a dash for what is absent. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
): string {
  const cells = [headings, ...rows.map(row => row.map(cell => printable(String(cell ?? '-'))))]
  const widths = headings.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  return cells
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** A document as a table of its members. */
export function describeDocument(document: object): string {
  const rows = Object.entries(document).map(([name, value]) => [
    name,
    typeof value === 'number' && name.endsWith('_at') ? formatTime(value) : describeValue(value),
  ])
  return table(['FIELD', 'VALUE'], rows)
}

function describeValue(value: unknown): string | undefined {
  if (value === null || value === '') return undefined
  if (Array.isArray(value)) return describeValue(value.join(' '))
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** @param at seconds since the epoch */
export function formatTime(at: number | undefined): string {
  return at === undefined ? '-' : new Date(at * 1000).toISOString().replace('.000Z', 'Z')
}

/** Who runs the command, as the system knows them. */
export function operator(): Actor {
  return { name: `operator ${systemUser()}` }
}

function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    // In a container the user may have no name.
    return String(process.getuid?.())
  }
}

/**
 * A secret, never from the arguments: those show in process lists and shell histories.
 *
 * @param stdinOption the option that says that the secret comes on stdin, for the message
 * @throws UsageError when there is neither that option nor a terminal
 */
export async function readSecret(fromStdin: boolean | undefined, stdinOption: string, prompt: string): Promise<string> {
  if (fromStdin) {
    // One newline at the end is the shell's, not the secret's.
    const secret = decodeUtf8(await readBytes(process.stdin), stdinOption).replace(/\r?\n$/, '')
    if (secret === '') throw new UsageError(`${stdinOption}: nothing came on stdin`)
    return secret
  }
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError(`give it with ${stdinOption}, or run this at a terminal`)
  const secret = await ask(`${prompt}: `)
  if (!isTypeable(secret)) throw new UsageError('that is not UTF-8: look at the encoding of this terminal')
  if ((await ask(`${prompt} again: `)) !== secret) throw new UsageError('the two differ')
  return secret
}

/** Bytes that stood for nothing would be stored, and never be typed again. */
function decodeUtf8(bytes: Buffer, stdinOption: string): string {
  if (!isUtf8(bytes)) throw new UsageError(`${stdinOption}: what came on stdin is not UTF-8`)
  return new TextDecoder().decode(bytes)
}

/**
 * Node gives arguments as text, with U+FFFD for bytes that are not UTF-8: names would be stored mutilated, and other files and users be
 * found than the operator meant.
 */
export function insistOnUtf8(args: readonly string[]): void {
  if (!args.some(arg => arg.includes('\ufffd')) || isUtf8(rawArguments())) return
  throw new UsageError('an argument is not UTF-8: look at the encoding of this terminal')
}

/** Where the system tells: somebody may mean that very character, to remove a user who was once named so. */
function rawArguments(): Buffer {
  try {
    return readFileSync('/proc/self/cmdline')
  } catch {
    return Buffer.of(0xff)
  }
}

async function ask(question: string): Promise<string> {
  process.stderr.write(question)
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silence, terminal: true })
  terminal.on('SIGINT', () => process.exit(130))
  try {
    return await terminal.question('')
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}

export function parseLimit(text: string): number {
  const limit = Number(text)
  if (!Number.isSafeInteger(limit) || limit < 1) throw new InvalidArgumentError('It takes a number of at least 1.')
  return limit
}
