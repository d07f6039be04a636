/**
 * drizzle-orm as this folder uses it. Loaded as CommonJS: its ES modules take 300 ms to link, at every start and every
 * command; the same code as CommonJS takes 40. What is of one dialect is in the file of this name in its folder.
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const {
  and,
  asc,
  count,
  DrizzleQueryError,
  desc,
  eq,
  getTableColumns,
  getTableName,
  gt,
  gte,
  inArray,
  is,
  isNotNull,
  isNull,
  lt,
  lte,
  min,
  ne,
  or,
  Param,
  Placeholder,
  sql,
} = require('drizzle-orm') as typeof import('drizzle-orm')
export const { readMigrationFiles } = require('drizzle-orm/migrator') as typeof import('drizzle-orm/migrator')

export type { Column, SQL } from 'drizzle-orm'
