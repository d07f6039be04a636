/** What a postgres:// URL says: as libpq reads it (PostgreSQL documentation, "Connection Strings"). */
import test from 'ava'
import fc from 'fast-check'
import { type DatabaseUrl, formatDatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'

const parse = (text: string, env = {}): DatabaseUrl => {
  const url = parseDatabaseUrl(text, env)
  if ('problem' in url) throw new Error(url.problem)
  return url
}

const problemOf = (text: string, env = {}): string | undefined => {
  const url = parseDatabaseUrl(text, env)
  return 'problem' in url ? url.problem : undefined
}

test('a URL with everything', t => {
  const text =
    'postgresql://latch%40key:p%40ss%2F%3A@db1:6432,[::1],10.0.0.3:7000/my%20db?sslmode=verify-full&sslrootcert=/etc/root.crt' +
    '&sslcert=/c.crt&sslkey=/c.key&connect_timeout=7&application_name=node%201&passfile=/p&target_session_attrs=read-write'
  t.deepEqual(parse(text), {
    hosts: [
      { name: 'db1', port: 6432 },
      { name: '::1', port: 5432 },
      { name: '10.0.0.3', port: 7000 },
    ],
    database: 'my db',
    user: 'latch@key',
    password: 'p@ss/:',
    passwordFile: '/p',
    sslMode: 'verify-full',
    sslRootCert: '/etc/root.crt',
    sslCert: '/c.crt',
    sslKey: '/c.key',
    connectTimeout: 7,
    applicationName: 'node 1',
  })
})

test('what a URL does not say: port 5432, the database of the name of the user, sslmode prefer, three seconds', t => {
  const { passwordFile, ...url } = parse('postgres://latchkey@db')
  t.regex(passwordFile, /\/\.pgpass$/)
  t.deepEqual(url, {
    hosts: [{ name: 'db', port: 5432 }],
    database: 'latchkey',
    user: 'latchkey',
    password: undefined,
    sslMode: 'prefer',
    sslRootCert: undefined,
    sslCert: undefined,
    sslKey: undefined,
    connectTimeout: 3,
    applicationName: 'latchkey',
  })
})

test('the password, the password file and what TLS has to do come from the environment where the URL has none', t => {
  const env = { PGPASSWORD: 'secret', PGPASSFILE: '/pass', PGSSLROOTCERT: '/root.crt' }
  t.like(parse('postgres://u@db/d', env), { password: 'secret', passwordFile: '/pass', sslRootCert: '/root.crt' })
  t.like(parse('postgres://u:own@db/d?passfile=/own&sslrootcert=/own.crt', env), {
    password: 'own',
    passwordFile: '/own',
    sslRootCert: '/own.crt',
  })
  t.is(parse('postgres://u@db/d', { PGSSLMODE: 'require' }).sslMode, 'require')
  t.is(parse('postgres://u@db/d?sslmode=disable', { PGSSLMODE: 'require' }).sslMode, 'disable')
  t.regex(problemOf('postgres://u@db/d', { PGSSLMODE: 'allow' }) ?? '', /sslmode is none of/)
})

test('the folder of a Unix socket is a host, as parameter or with its slashes encoded', t => {
  const hosts = [{ name: '/var/run/postgresql', port: 5433 }]
  t.deepEqual(parse('postgres://u@/d?host=/var/run/postgresql&port=5433').hosts, hosts)
  t.deepEqual(parse('postgres://u@%2Fvar%2Frun%2Fpostgresql:5433/d').hosts, hosts)
})

test('a parameter counts before what stands in front of the question mark', t => {
  t.like(parse('postgres://u:p@h:1/d?user=v&password=q&dbname=e&host=i,j&port=2'), {
    user: 'v',
    password: 'q',
    database: 'e',
    hosts: [
      { name: 'i', port: 2 },
      { name: 'j', port: 2 },
    ],
  })
})

for (const [parameters, sslMode] of [
  ['', 'prefer'],
  ['?sslmode=disable', 'disable'],
  ['?sslmode=require', 'require'],
  ['?ssl=true', 'require'],
  ['?sslmode=verify-ca&sslrootcert=/r', 'verify-ca'],
  ['?sslrootcert=system', 'verify-full'],
  ['?sslrootcert=system&sslmode=verify-full', 'verify-full'],
] as const)
  test(`sslmode of ${parameters || 'no parameter'} is ${sslMode}`, t => {
    t.is(parse(`postgres://u@db/d${parameters}`).sslMode, sslMode)
  })

for (const [text, problem] of [
  ['postgres:/u@db/d', /form postgres/],
  ['mysql://u@db/d', /form postgres/],
  ['postgres://db/d', /names no user/],
  ['postgres://u@/d', /names no host/],
  ['postgres://u@a,,b/d', /names no host/],
  ['postgres://u@a:0/d', /port/],
  ['postgres://u@a:65536/d', /port/],
  ['postgres://u@a:1e3/d', /port/],
  ['postgres://u@[::1/d', /brackets/],
  ['postgres://u@fe80::1/d', /port/],
  ['postgres://u@a,b/d?port=1,2,3', /as many ports/],
  ['postgres://u:p@ss@a/d', /%40/],
  ['postgres://u:100%@a/d', /%25/],
  ['postgres://u:%ff@a/d', /%25/],
  ['postgres://u:p%00user%00postgres@a/d', /control character/],
  ['postgres://u@a/d?application_name=x%0Ay', /control character/],
  ['postgres://u@a/d?options=-c%20fsync%3Doff', /the parameter options/],
  ['postgres://u@a/d?pgbouncer=true', /a parameter that is none of/],
  ['postgres://u@a/d?sslmode', /\?name=value/],
  ['postgres://u@a/d?sslmode=allow', /sslmode is none of/],
  ['postgres://u@a/d?sslmode=verify-full', /needs sslrootcert/],
  ['postgres://u@a/d?sslmode=require&sslrootcert=system', /only be used with sslmode=verify-full/],
  ['postgres://u@a/d?sslcert=/c', /together/],
  ['postgres://u@a/d?connect_timeout=0', /connect_timeout/],
  ['postgres://u@a/d?target_session_attrs=any', /takes writes/],
  [`postgres://u@${'a,'.repeat(16)}a/d`, /more than 16/],
  [`postgres://u@a/${'d'.repeat(5000)}`, /longer than/],
] as const)
  test(`${text.slice(0, 60)} is refused: ${problem}`, t => {
    t.regex(problemOf(text) ?? '', problem)
  })

test('any password, user and database come back as they were, and the printable form has no password', t => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(text => !/\p{Cc}/u.test(text))
  fc.assert(
    fc.property(text, text, text, (user, password, database) => {
      const [u, p, d] = [user, password, database].map(encodeURIComponent)
      const url = parse(`postgres://${u}:${p}@db.example:6000,[::1]/${d}`)
      t.deepEqual([url.user, url.password, url.database], [user, password, database])
      t.is(formatDatabaseUrl(url), `postgres://${u}@db.example:6000,[::1]/${d}`)
    }),
  )
})

test('no text makes it throw, and no refusal repeats what it refuses', t => {
  const part = fc.string({ unit: fc.constantFrom(...'ab%:@/?&=[],#\\ 0\0é'), maxLength: 30 })
  fc.assert(
    fc.property(part, part, (before, after) => {
      const problem = problemOf(`postgres://${before}qqsecretqq${after}`)
      t.false(problem?.includes('qqsecretqq') ?? false)
    }),
    { numRuns: 1000 },
  )
})
