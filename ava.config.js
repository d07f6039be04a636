/** `npm test` and `npm run test:slow`; `ava.postgres.config.js` is the run with all data in PostgreSQL. */

/** Files that take longest, most of it waiting: whatever is begun last is waited for alone. */
const longest = [
  'slow/timing',
  'browser',
  'slow/failures',
  'slow/failover',
  'slow/postgres_servers',
  'slow/crash',
  'process',
  'slow/proxies',
  'examples',
  'cli/cli',
  'cli/backup',
  'throttle/throttle',
  'documents',
  'clients/remote_jwks',
]

export function longestFirst(a, b) {
  return rank(a) - rank(b) || a.localeCompare(b)
}

function rank(file) {
  const at = longest.findIndex(name => file.endsWith(`test/${name}.test.ts`))
  return at === -1 ? longest.length : at
}

export default { extensions: ['ts'], files: ['test/**/*.test.ts'], timeout: '120s', sortTestFiles: longestFirst }
