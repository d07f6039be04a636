/** The password file of PostgreSQL's programs, `~/.pgpass` (PostgreSQL documentation, "The Password File"). */
import { statSync } from 'node:fs'
import { readSmallFile } from '../../small_file.ts'
import type { DatabaseUrl, Host } from './url.ts'

/**
 * The password of the first line `host:port:database:user:password` that fits; `*` fits everything, and `\` takes its meaning from the next
 * character. A socket is found as `localhost` too.
 *
 * @throws Error in one line for the operator: there is none, or others can read the file
 */
export function passwordFromFile({ passwordFile: file, database, user }: DatabaseUrl, { name, port }: Host): string {
  const none = (why: string) =>
    new Error(`the server asks for the password of ${user}, and neither the URL nor PGPASSWORD has it; ${why}`)
  const text = readSmallFile(file)
  if (text === undefined) throw none(`there is no password file ${file}`)
  if ((statSync(file).mode & 0o077) !== 0)
    throw none(`the password file ${file} is not used, because others can read it: chmod 600`)
  const wanted = [name.startsWith('/') ? [name, 'localhost'] : [name], [String(port)], [database], [user]]
  for (const line of text.split(/\r?\n/)) {
    const fields = line.startsWith('#') ? [] : readFields(line)
    const password = fields[4]
    if (password !== undefined && wanted.every((names, i) => fields[i] === '*' || names.includes(fields[i]!)))
      return password
  }
  throw none(`no line of the password file ${file} fits`)
}

/** Four fields, and in the fifth all the rest. */
function readFields(line: string): string[] {
  const match = /^((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):(.+)$/.exec(line)
  return match === null ? [] : match.slice(1).map(field => field.replace(/\\(.)/g, '$1'))
}
