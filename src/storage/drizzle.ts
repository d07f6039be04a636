/**
 * drizzle-orm as this folder uses it. Loaded as CommonJS: its ES modules take 300 ms to link, at every start and every
 * command; the same code as CommonJS takes 40.
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const { and, asc, desc, eq, gt, gte, inArray, is, isNotNull, isNull, lt, lte, ne, or, Param, Placeholder, sql } =
  require('drizzle-orm') as typeof import('drizzle-orm')
export const { drizzle } = require('drizzle-orm/better-sqlite3') as typeof import('drizzle-orm/better-sqlite3')
export const { readMigrationFiles } = require('drizzle-orm/migrator') as typeof import('drizzle-orm/migrator')
export const { index, integer, primaryKey, sqliteTable, text } =
  require('drizzle-orm/sqlite-core') as typeof import('drizzle-orm/sqlite-core')

export type { Column, SQL } from 'drizzle-orm'
