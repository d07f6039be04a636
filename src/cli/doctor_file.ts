/** What the doctor finds of a SQLite file and the disk that it is on. */
import { existsSync, statfsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { inspectSqlite } from '../storage/sqlite/file.ts'
import { type Finding, failed, ok, warning } from './findings.ts'

/** Bytes that a disk should have left. */
const minSpace = 256 * 2 ** 20
/** Bytes that a journal takes: with less nothing can be written. */
const fullDisk = 4 * 2 ** 20
/** Bytes. SQLite keeps its journal near 4 MiB where nobody holds an old snapshot. */
const maxJournal = 256 * 2 ** 20

/** @returns findings of the database itself, and of the place where it is */
export function examineFile(setting: string): { database: Finding[]; place: Finding[] } {
  const file = resolve(setting)
  if (!existsSync(file)) {
    const advice = 'start the server once, run latchkey migrate, or set LATCHKEY_DATABASE_URL'
    return { database: [failed('database', `there is no ${file}`, advice)], place: [] }
  }
  if (!statSync(file).isFile()) {
    return { database: [failed('database', `${file} is no file`, 'set LATCHKEY_DATABASE_URL to one')], place: [] }
  }
  return { database: examineDatabase(file), place: examineSpace(file) }
}

function examineDatabase(file: string): Finding[] {
  try {
    const { damage, pending, isNewer } = inspectSqlite(file)
    const integrity =
      damage.length === 0
        ? ok('database', file)
        : failed(
            'database',
            `damaged: ${damage[0]}${damage.length > 1 ? `, and ${damage.length - 1} more` : ''}`,
            'stop the server, keep a copy of the file, restore the last backup',
          )
    if (isNewer) return [integrity, failed('migrations', 'of a newer latchkey', 'run that version')]
    if (pending > 0) {
      const found = `${pending} ${pending === 1 ? 'is' : 'are'} missing`
      return [integrity, warning('migrations', found, 'run latchkey migrate, or start the server, which does it')]
    }
    return [integrity, ok('migrations', 'up to date')]
  } catch (error) {
    const { message, code } = error as Error & { code?: string }
    return [failed('database', message, freeSpace(file) < fullDisk ? 'the disk is full: make room' : adviceOn(code))]
  }
}

/** @param code of SQLite, for a file that it could not look into */
function adviceOn(code = ''): string {
  if (/^SQLITE_(?:NOTADB|CORRUPT)/.test(code)) return 'restore the last backup'
  if (code.startsWith('SQLITE_BUSY')) return 'another program holds it: end that one and ask again'
  return 'look at the owners and modes of the file and its folder'
}

function freeSpace(file: string): number {
  const { bavail, bsize } = statfsSync(dirname(file))
  return bavail * bsize
}

function examineSpace(file: string): Finding[] {
  const free = freeSpace(file)
  const journal = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
  const space = describeSpace(free)
  if (journal <= maxJournal) return [space]
  const advice =
    'something reads the database without an end, or a backup runs; it shrinks when the server is restarted'
  return [space, warning('journal', `${toMegabytes(journal)} MB`, advice)]
}

/** @param free bytes */
export function describeSpace(free: number): Finding {
  if (free < fullDisk) return failed('disk', 'it is full', 'every sign-in and refresh is 503 until you make room')
  const found = `${toMegabytes(free)} MB are free`
  return free < minSpace
    ? warning('disk', found, 'a full disk is 503 for every sign-in and refresh; make room')
    : ok('disk', found)
}

const toMegabytes = (bytes: number) => Math.floor(bytes / 1e6)
