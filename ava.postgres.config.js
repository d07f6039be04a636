/** `npm run test:postgres`: every file of tests that starts servers, once more with their data in PostgreSQL. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { longestFirst } from './ava.config.js'

/** What they are about is a file of SQLite, a process or a command line; or they have both dialects already. */
const elsewhere = /^test\/(?:slow|interop|browser|cli|storage)\/|^test\/(?:examples|browser|process|setup)\.test\.ts$/

const source = file => readFileSync(new URL(file, import.meta.url), 'utf8')

/** By itself, or through a helper beside it. */
function opensDatabase(file, seen = new Set(['test/_server.ts'])) {
  if (seen.has(file)) return false
  seen.add(file)
  const text = source(file)
  if (/\b(?:startServer\w*|openTestStorage|createDatabase)\(/.test(text)) return true
  return [...text.matchAll(/ from '(\.[^']+)'/g)]
    .map(([, specifier]) => join(dirname(file), specifier))
    .some(helper => helper.startsWith('test/') && opensDatabase(helper, seen))
}

const files = readdirSync(new URL('test', import.meta.url), { recursive: true })
  .map(name => join('test', name))
  .filter(file => file.endsWith('.test.ts') && !elsewhere.test(file))
  // Those that ask for a PostgreSQL by name have it in every run.
  .filter(file => opensDatabase(file) && !source(file).includes("/_postgres.ts'"))

export default {
  extensions: ['ts'],
  files,
  require: ['./test/_compile_cache.ts'],
  timeout: '120s',
  // A test at a time of each of four files: a hundred servers at once would wait for one another's connections, and their tests for the clock.
  sortTestFiles: longestFirst,
  serial: true,
  concurrency: 4,
  environmentVariables: { TEST_DIALECT: 'postgres' },
}
