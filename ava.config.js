/** `npm test` and `npm run test:slow`; `ava.postgres.config.js` is the run with all data in PostgreSQL. */

/** Files that take longest: whatever is begun last is waited for alone. The slow tests keep their order, for some of them compare times. */
const longest = ['throttle/throttle', 'cli/cli', 'cli/backup', 'documents', 'clients/remote_jwks']

export function longestFirst(a, b) {
  return rank(a) - rank(b)
}

function rank(file) {
  const at = longest.findIndex(name => file.endsWith(`test/${name}.test.ts`))
  return at === -1 ? longest.length : at
}

export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  require: ['./test/_compile_cache.ts'],
  timeout: '120s',
  sortTestFiles: longestFirst,
}
