/** Which database is meant: what `LATCHKEY_DATABASE_URL` says. */
import { dirname, resolve } from 'node:path'
import { type DatabaseUrl, formatDatabaseUrl, isPostgresUrl, parseDatabaseUrl } from './postgres/url.ts'

export type DatabaseSetting =
  | Readonly<{ kind: 'file'; path: string }>
  | Readonly<{ kind: 'postgres'; url: DatabaseUrl }>

type Environment = Readonly<Record<string, string | undefined>>

/** @param env what {@link parseDatabaseUrl} completes a URL with */
export function parseDatabase(text: string, env: Environment): DatabaseSetting | undefined {
  if (isPostgresUrl(text)) {
    const url = parseDatabaseUrl(text, env)
    return 'problem' in url ? undefined : { kind: 'postgres', url }
  }
  const path = /^file:(?:\/\/(?=\/))?((?!:|\/\/)[^?#]+)$/.exec(text)?.[1]
  return path === undefined ? undefined : { kind: 'file', path }
}

/** @returns what is wrong with a `postgres://` URL, in one sentence without its text */
export function databaseProblem(text: string, env: Environment): string | undefined {
  if (!isPostgresUrl(text)) return undefined
  const url = parseDatabaseUrl(text, env)
  return 'problem' in url ? url.problem : undefined
}

/** Where the program keeps the files that it makes: beside a file, and for a server in the folder that is the default. */
export function folderOf(database: DatabaseSetting): string {
  return database.kind === 'file' ? dirname(database.path) : 'data'
}

/** For messages: a whole path, or a URL without password and parameters. */
export function formatDatabase(database: DatabaseSetting): string {
  return database.kind === 'file' ? `file:${resolve(database.path)}` : formatDatabaseUrl(database.url)
}
