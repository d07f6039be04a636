/** What the commands share: opening and closing the database, one form of output, secrets from stdin or a terminal. */
import { userInfo } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import { InvalidArgumentError } from 'commander'
import { type Config, readConfig, readEnvironment } from '../config.ts'
import { type AuditEventType, auditEvent } from '../oauth/audit.ts'
import type { Storage } from '../oauth/storage.ts'
import { now } from '../setup.ts'
import { openSqliteStorage } from '../storage/sqlite.ts'

/** Something that the person at the keyboard has to say differently: exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** Opens the database that the settings name, runs, closes it. */
export async function withStorage(run: (storage: Storage, config: Config) => Promise<void>): Promise<void> {
  const config = readConfig(readEnvironment())
  const { storage } = openSqliteStorage(config.databaseFile)
  try {
    await run(storage, config)
  } finally {
    await storage.close()
  }
}

/** Prints one JSON document or text for a person. */
export function output(options: { json?: true }, document: unknown, text: string): void {
  process.stdout.write(`${options.json ? JSON.stringify(document) : text}\n`)
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

/** @param at seconds since the epoch */
export function formatTime(at: number | undefined): string {
  return at === undefined ? '-' : new Date(at * 1000).toISOString().replace('.000Z', 'Z')
}

/** The event of an operator's command: its detail begins with who that is to the system. */
export function operatorEvent(type: AuditEventType, { detail, ...about }: Parameters<typeof auditEvent>[3] = {}) {
  const who = `operator ${systemUser()}`
  return auditEvent(type, now(), {}, { ...about, detail: detail === undefined ? who : `${who}: ${detail}` })
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
    const secret = (await readText(process.stdin)).replace(/\r?\n$/, '')
    if (secret === '') throw new UsageError(`${stdinOption}: nothing came on stdin`)
    return secret
  }
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError(`give it with ${stdinOption}, or run this at a terminal`)
  const secret = await ask(`${prompt}: `)
  if ((await ask(`${prompt} again: `)) !== secret) throw new UsageError('the two differ')
  return secret
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

/** Text of others must not steer the operator's terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd')
}

export function parseLimit(text: string): number {
  const limit = Number(text)
  if (!Number.isSafeInteger(limit) || limit < 1) throw new InvalidArgumentError('It takes a number of at least 1.')
  return limit
}
