/** How a command that failed says so: an exit code, and text or, under `--json`, one document. */
import { CommanderError } from 'commander'
import { Conflict, InvalidMember, NotFound } from '../admin/error.ts'
import { ConfigError } from '../config.ts'
import { OAuthError } from '../error.ts'
import { DatabaseMoved } from '../storage/moved.ts'
import { UsageError } from './run.ts'

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof UsageError) return 2
  if (error instanceof DatabaseMoved) return DatabaseMoved.exitCode
  return error instanceof ConfigError ? ConfigError.exitCode : 1
}

/** The members that an endpoint refuses with, RFC 6749 §5.2. */
export type FailureDocument = Readonly<{ error: string; error_description: string }>

export function failureDocument(error: unknown): FailureDocument {
  return { error: codeOf(error), error_description: descriptionOf(error) }
}

function descriptionOf(error: unknown): string {
  if (!(error instanceof CommanderError)) return error instanceof Error ? error.message : String(error)
  // What has been shown instead of running anything.
  if (error.code === 'commander.help') return 'a command is missing: --help lists them'
  return error.message.replace(/^error: /, '')
}

/** What a script can tell apart: the code of a conflict or of the database's trouble, or the kind of the error. */
function codeOf(error: unknown): string {
  for (let one = error; one instanceof Error; one = one.cause as unknown) {
    if (one instanceof Conflict || one instanceof OAuthError) return one.code
    if (one instanceof NotFound) return 'not_found'
    if (one instanceof ConfigError) return 'invalid_settings'
    if (one instanceof DatabaseMoved) return 'database_moved'
    if (one instanceof UsageError || one instanceof CommanderError || one instanceof InvalidMember)
      return 'invalid_usage'
  }
  return 'failed'
}
