/** What of drizzle-orm is for PostgreSQL alone. */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const { drizzle } = require('drizzle-orm/node-postgres') as typeof import('drizzle-orm/node-postgres')
export const { bigint, customType, index, integer, pgTable, primaryKey, text, unionAll, uniqueIndex } =
  require('drizzle-orm/pg-core') as typeof import('drizzle-orm/pg-core')

export type { NodePgDatabase } from 'drizzle-orm/node-postgres'
