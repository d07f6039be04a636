/** Settings: defaults, what each takes, and messages that name the variable and never a secret. */
import test from 'ava'
import { type Config, ConfigError, readConfig, settings } from '../src/config.ts'
import { notices } from '../src/mail/mail.ts'
import { passwordHashProblem } from '../src/users/password_formats.ts'

type Environment = Record<string, string | undefined>

/** The one line about a variable that cannot be used. */
function problem(env: Environment): string {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

test('an empty environment gives the defaults', t => {
  const { passwordHashing, ...config } = readConfig({})
  t.deepEqual(config, {
    host: '127.0.0.1',
    port: 3000,
    admin: undefined,
    database: { kind: 'file', path: 'data/latchkey.db' },
    secret: { kind: 'beside_database', path: 'data/secret' },
    bootstrap: true,
    uniqueEmail: undefined,
    corsOrigins: [],
    signingAlg: 'ES256',
    trustProxy: undefined,
    privateJwksUris: false,
    privateWebhooks: false,
    docs: true,
    passkeys: { rpId: undefined, relatedOrigins: [], appleApps: [], androidApps: [] },
    breachedPasswords: undefined,
    brand: { name: undefined, url: undefined, logo: undefined, color: undefined },
    drain: undefined,
    keyRotation: 90 * 86_400,
    auditLifetime: 365 * 86_400,
    logLevel: 'info',
    mail: undefined,
    notices,
    throttle: {
      enabled: true,
      account: 10,
      elsewhere: 30,
      network: 100,
      site: 1000,
      password: 50,
      forgetAccount: 600,
      forgetNetwork: 60,
      maxDelay: 120,
      namesPerAccount: 1,
      knownNetwork: 90 * 86_400,
      entries: 100_000,
    },
    oauth: {
      accessTokenLifetime: 900,
      sessionLimit: 100,
      minSolePassword: 15,
      signInBy: 'username',
      hasMail: false,
      mailLanguage: 'en',
      signUp: false,
      requireFactor: 'enrolled',
      serviceNames: [],
      refresh: {
        idleLifetime: 30 * 86_400,
        absoluteLifetime: 365 * 86_400,
        retryWindow: 60,
        lateRetryWindow: undefined,
      },
    },
    issuer: undefined,
    audience: undefined,
  })
  // OWASP Password Storage Cheat Sheet.
  t.like(passwordHashing, { memory: 19_456, passes: 2, lanes: 1 })
  t.true(passwordHashing.concurrency >= 1 && passwordHashing.queue >= 1)
})

test('the settings cannot be changed afterwards', t => {
  t.true(Object.isFrozen(readConfig({})))
})

test('an empty variable counts as unset, and other programs may have theirs', t => {
  const env = Object.fromEntries(Object.keys(settings).map(name => [name, '']))
  t.deepEqual(readConfig({ ...env, PATH: '/bin', LATCH: 'x' }), readConfig({}))
})

const good: [Environment, Partial<Config>][] = [
  [{ LATCHKEY_HOST: '0.0.0.0' }, { host: '0.0.0.0' }],
  [{ LATCHKEY_HOST: '::1' }, { host: '::1' }],
  [{ LATCHKEY_PORT: '0' }, { port: 0 }],
  [{ LATCHKEY_PORT: '65535' }, { port: 65_535 }],
  [{ LATCHKEY_ADMIN_PORT: '0' }, { admin: { host: '127.0.0.1', port: 0 } }],
  [{ LATCHKEY_ADMIN_PORT: '9000', LATCHKEY_ADMIN_HOST: '10.0.0.7' }, { admin: { host: '10.0.0.7', port: 9000 } }],
  [{ LATCHKEY_ADMIN_HOST: '10.0.0.7' }, { admin: undefined }],
  [{ LATCHKEY_DATABASE_URL: 'file:/srv/latchkey.db' }, { database: { kind: 'file', path: '/srv/latchkey.db' } }],
  [{ LATCHKEY_DATABASE_URL: 'file:///srv/latchkey.db' }, { database: { kind: 'file', path: '/srv/latchkey.db' } }],
  [{ LATCHKEY_BOOTSTRAP: 'off' }, { bootstrap: false }],
  [{ LATCHKEY_BOOTSTRAP: 'on' }, { bootstrap: true }],
  [
    { LATCHKEY_CORS_ORIGINS: 'https://app.example.com, http://localhost:5173' },
    { corsOrigins: ['https://app.example.com', 'http://localhost:5173'] },
  ],
  [
    {
      LATCHKEY_CORS_ORIGINS:
        'capacitor://localhost,Ionic://localhost, app://., tauri://localhost:1420, http://[::1]:8080',
    },
    {
      corsOrigins: [
        'capacitor://localhost',
        'ionic://localhost',
        'app://.',
        'tauri://localhost:1420',
        'http://[::1]:8080',
      ],
    },
  ],
  [
    {
      LATCHKEY_BRAND_NAME: ' Straße & Söhne ',
      LATCHKEY_BRAND_URL: 'https://www.example.com/shop?a=1#top',
      LATCHKEY_BRAND_LOGO: '/srv/logo.svg',
      LATCHKEY_BRAND_COLOR: '#FFcc00',
    },
    {
      brand: {
        name: 'Straße & Söhne',
        url: 'https://www.example.com/shop?a=1#top',
        logo: '/srv/logo.svg',
        color: '#ffcc00',
      },
    },
  ],
  [{ LATCHKEY_AUDIENCE: 'https://api.example.com' }, { audience: 'https://api.example.com' }],
  [{ LATCHKEY_SIGNING_ALG: 'EdDSA' }, { signingAlg: 'EdDSA' }],
  [{ LATCHKEY_SIGNING_ALG: 'RS256' }, { signingAlg: 'RS256' }],
  [{ LATCHKEY_LOG_LEVEL: 'debug' }, { logLevel: 'debug' }],
  [{ LATCHKEY_LOG_LEVEL: 'silent' }, { logLevel: 'silent' }],
  [{ LATCHKEY_SECRET: 'text' }, { secret: { kind: 'value', text: 'text' } }],
  [{ LATCHKEY_SECRET_FILE: '/run/secret' }, { secret: { kind: 'file', path: '/run/secret' } }],
  [
    { LATCHKEY_DATABASE_URL: 'file:/srv/a/b.db' },
    { secret: { kind: 'beside_database', path: '/srv/a/secret' } as const },
  ],
]

for (const [env, expected] of good) {
  test(`${JSON.stringify(env)} gives ${JSON.stringify(expected)}`, t => {
    t.like(readConfig(env), expected)
  })
}

const bad: [keyof typeof settings, string][] = [
  ['LATCHKEY_HOST', 'local host'],
  ['LATCHKEY_HOST', 'http://localhost'],
  ['LATCHKEY_PORT', '65536'],
  ['LATCHKEY_PORT', '-1'],
  ['LATCHKEY_PORT', '80a'],
  ['LATCHKEY_PORT', ' 80'],
  ['LATCHKEY_PORT', '1e3'],
  ['LATCHKEY_BOOTSTRAP', 'yes'],
  ['LATCHKEY_BOOTSTRAP', 'OFF'],
  ['LATCHKEY_CORS_ORIGINS', 'https://app.example.com,'],
  ['LATCHKEY_CORS_ORIGINS', 'app.example.com'],
  ['LATCHKEY_CORS_ORIGINS', 'capacitor://'],
  ['LATCHKEY_CORS_ORIGINS', 'capacitor:localhost'],
  ['LATCHKEY_CORS_ORIGINS', 'app://host/path'],
  ['LATCHKEY_CORS_ORIGINS', 'file:///'],
  ['LATCHKEY_BRAND_NAME', 'x'.repeat(65)],
  ['LATCHKEY_BRAND_NAME', '   '],
  ['LATCHKEY_BRAND_URL', 'http://www.example.com/'],
  ['LATCHKEY_BRAND_URL', 'javascript:alert(1)'],
  ['LATCHKEY_BRAND_URL', 'https://alice:secret@example.com/'],
  ['LATCHKEY_BRAND_COLOR', 'red'],
  ['LATCHKEY_BRAND_COLOR', '#fc0'],
  ['LATCHKEY_BRAND_COLOR', '#ffcc00;}'],
  ['LATCHKEY_AUDIENCE', 'two words'],
  ['LATCHKEY_SIGNING_ALG', 'HS256'],
  ['LATCHKEY_SIGNING_ALG', 'none'],
  ['LATCHKEY_SIGNING_ALG', 'es256'],
  ['LATCHKEY_ACCESS_TOKEN_TTL', '0'],
  ['LATCHKEY_ACCESS_TOKEN_TTL', '25h'],
  ['LATCHKEY_ACCESS_TOKEN_TTL', '15 m'],
  ['LATCHKEY_ACCESS_TOKEN_TTL', '15M'],
  ['LATCHKEY_ACCESS_TOKEN_TTL', '1.5h'],
  ['LATCHKEY_REFRESH_IDLE_TTL', '0s'],
  ['LATCHKEY_REFRESH_ABSOLUTE_TTL', '0'],
  ['LATCHKEY_REFRESH_ABSOLUTE_TTL', '200000d'],
  ['LATCHKEY_REFRESH_RETRY_WINDOW', '61m'],
  ['LATCHKEY_REFRESH_RETRY_WINDOW', '-1'],
  ['LATCHKEY_REFRESH_LATE_RETRY', 'off'],
  ['LATCHKEY_TRUST_PROXY', 'proxy.example.com'],
  ['LATCHKEY_TRUST_PROXY', '10.0.0.0/33'],
  ['LATCHKEY_TRUST_PROXY', '::1/129'],
  ['LATCHKEY_TRUST_PROXY', '10.0.0.0/8/9'],
  ['LATCHKEY_TRUST_PROXY', '10.0.0.0/'],
  ['LATCHKEY_TRUST_PROXY', '10.0.0.1,'],
  ['LATCHKEY_TRUST_PROXY', '*'],
  ['LATCHKEY_LOG_LEVEL', 'verbose'],
  ['LATCHKEY_ARGON2_MEMORY', '7'],
  ['LATCHKEY_ARGON2_MEMORY', '1048577'],
  ['LATCHKEY_ARGON2_PASSES', '1'],
  ['LATCHKEY_ARGON2_PASSES', '100'],
  ['LATCHKEY_ARGON2_LANES', '0'],
  ['LATCHKEY_ARGON2_LANES', '17'],
  ['LATCHKEY_APPLE_APPS', 'com.example.app'],
  ['LATCHKEY_APPLE_APPS', 'a1b2c3d4e5.com.example.app'],
  ['LATCHKEY_APPLE_APPS', 'A1B2C3D4E5.com.example.*'],
  ['LATCHKEY_ANDROID_APPS', 'com.example.app'],
  ['LATCHKEY_ANDROID_APPS', 'com.example.app=14:6D'],
  ['LATCHKEY_ANDROID_APPS', `app=${'00'.repeat(32)}`],
  ['LATCHKEY_ANDROID_APPS', `com.example.app=${'00'.repeat(32)}=`],
  ['LATCHKEY_THROTTLE', 'yes'],
  ['LATCHKEY_THROTTLE_ACCOUNT', '0'],
  ['LATCHKEY_THROTTLE_ACCOUNT', '1000001'],
  ['LATCHKEY_THROTTLE_ACCOUNT', '1.5'],
  ['LATCHKEY_THROTTLE_NETWORK', '-1'],
  ['LATCHKEY_THROTTLE_NETWORK', 'many'],
  ['LATCHKEY_THROTTLE_LONGEST_DELAY', '121s'],
  ['LATCHKEY_THROTTLE_LONGEST_DELAY', '0'],
]

for (const [name, value] of bad) {
  test(`${name}=${JSON.stringify(value)} is refused in one line that says what it got and what it takes`, t => {
    t.is(
      problem({ [name]: value }),
      `${name} is ${JSON.stringify(value)}, which cannot be used; it takes ${settings[name].takes}`,
    )
  })
}

for (const [value, why] of [
  ['*', /there are no wildcards: /],
  ['https://*.example.com', /there are no wildcards: /],
  ['https://app.example.com, http://localhost:*', /there are no wildcards: /],
  ['null', /null is what local files and sandboxed frames of anybody send$/],
  ['https://app.example.com/', /browsers send it as https:\/\/app\.example\.com$/],
  ['https://app.example.com/path', /browsers send it as https:\/\/app\.example\.com$/],
  ['https://app.example.com:443', /browsers send it as https:\/\/app\.example\.com$/],
  ['https://b\u00fccher.example', /browsers send it as https:\/\/xn--bcher-kva\.example$/],
] as const) {
  test(`LATCHKEY_CORS_ORIGINS=${value} is refused with the reason`, t => {
    const given = JSON.stringify(value)
    const expected = `LATCHKEY_CORS_ORIGINS is ${given}, which cannot be used; it takes ${settings.LATCHKEY_CORS_ORIGINS.takes}; `
    const text = problem({ LATCHKEY_CORS_ORIGINS: value })
    t.true(text?.startsWith(expected))
    t.regex(text ?? '', why)
  })
}

const fingerprint = Array.from({ length: 32 }, (_, at) => (at + 160).toString(16).toUpperCase()).join(':')

test('passkeys have a domain, related sites, and apps of both systems', t => {
  const env = {
    LATCHKEY_ISSUER: 'https://auth.example.com/tenant',
    LATCHKEY_PASSKEY_RP_ID: 'example.com',
    LATCHKEY_PASSKEY_ORIGINS: 'https://app.example.com, http://localhost:5173',
    LATCHKEY_APPLE_APPS: 'A1B2C3D4E5.com.example.app, A1B2C3D4E5.com.example.app-beta',
    LATCHKEY_ANDROID_APPS: `com.example.app=${fingerprint}, com.example.app=${fingerprint.replaceAll(':', '').toLowerCase()}`,
  }
  t.deepEqual(readConfig(env).passkeys, {
    rpId: 'example.com',
    relatedOrigins: ['https://app.example.com', 'http://localhost:5173'],
    appleApps: ['A1B2C3D4E5.com.example.app', 'A1B2C3D4E5.com.example.app-beta'],
    androidApps: Array.from({ length: 2 }, () => ({ packageName: 'com.example.app', fingerprint })),
  })
})

for (const [issuer, rpId, why] of [
  ['https://auth.example.com', 'auth.example.com', undefined],
  ['https://auth.example.com', 'example.com', undefined],
  ['', 'localhost', undefined],
  ['https://auth.example.com', 'example.org', /it has to be auth\.example\.com or a domain which that is in$/],
  ['https://auth.example.com', 'ple.com', /it has to be auth\.example\.com or/],
  ['https://example.com', 'auth.example.com', /it has to be example\.com or/],
  ['https://auth.example.com', 'com', /has owners of all sorts in it$/],
  ['https://auth.example.com', 'https://example.com', /no domain in lower case, without scheme, port and path$/],
  ['https://auth.example.com', 'Example.com', /no domain in lower case/],
  ['https://auth.example.com', 'example.com:443', /no domain in lower case/],
  ['https://auth.example.com', '.example.com', /no domain in lower case/],
  ['https://192.0.2.1', 'example.com', /the IP address 192\.0\.2\.1, for which there are no passkeys$/],
  ['http://[::1]:3000', 'localhost', /the IP address \[::1\], for which there are no passkeys$/],
  ['http://localhost:3000', 'example.com', /it has to be localhost or/],
] as const) {
  const verdict = why === undefined ? 'taken' : 'refused with the reason'
  test(`LATCHKEY_PASSKEY_RP_ID=${rpId} at the issuer ${issuer || 'of no setting'} is ${verdict}`, t => {
    const text = problem({ LATCHKEY_ISSUER: issuer, LATCHKEY_PASSKEY_RP_ID: rpId })
    if (why === undefined) t.is(text, '')
    else t.regex(text, why)
  })
}

test('of a bad issuer nothing is said of the domain of passkeys', t => {
  const text = problem({ LATCHKEY_ISSUER: 'auth.example.com', LATCHKEY_PASSKEY_RP_ID: 'localhost' })
  t.regex(text, /^LATCHKEY_ISSUER is [^\n]+$/)
})

for (const [value, why] of [
  ['http://app.example.com', /a page that is not https has no passkeys$/],
  ['http://localhost.example.com', /a page that is not https has no passkeys$/],
  ['capacitor://localhost', /a page that is not https has no passkeys$/],
  ['android:apk-key-hash:x', /that of an app follows from LATCHKEY_ANDROID_APPS$/],
  ['https://app.example.com/', /browsers send it as https:\/\/app\.example\.com$/],
] as const) {
  test(`LATCHKEY_PASSKEY_ORIGINS=${value} is refused with the reason`, t => {
    t.regex(problem({ LATCHKEY_PASSKEY_ORIGINS: value }), why)
  })
}

for (const [text, seconds] of [
  ['900', 900],
  ['90s', 90],
  ['15m', 900],
  ['12h', 43_200],
  ['1d', 86_400],
  ['10', 10],
] as const) {
  test(`the duration ${text} is ${seconds} seconds`, t => {
    t.is(readConfig({ LATCHKEY_ACCESS_TOKEN_TTL: text }).oauth.accessTokenLifetime, seconds)
  })
}

test('what passwords must not be: a filter has a path, and the service is called by the host of the issuer and by its brand', t => {
  t.is(readConfig({ LATCHKEY_BREACHED_PASSWORDS: 'breached.filter' }).breachedPasswords, 'breached.filter')
  const names = { LATCHKEY_ISSUER: 'https://id.example.com:8443/tenant', LATCHKEY_BRAND_NAME: 'Looking Glass' }
  t.deepEqual(readConfig(names).oauth.serviceNames, ['id.example.com', 'Looking Glass'])
})

test('each lifetime has its own setting', t => {
  const { oauth } = readConfig({
    LATCHKEY_ACCESS_TOKEN_TTL: '5m',
    LATCHKEY_REFRESH_IDLE_TTL: '1d',
    LATCHKEY_REFRESH_ABSOLUTE_TTL: '2d',
    LATCHKEY_REFRESH_RETRY_WINDOW: '0',
    LATCHKEY_REFRESH_LATE_RETRY: '1h',
  })
  t.deepEqual(oauth, {
    accessTokenLifetime: 300,
    sessionLimit: 100,
    minSolePassword: 15,
    signInBy: 'username',
    requireFactor: 'enrolled',
    hasMail: false,
    mailLanguage: 'en',
    signUp: false,
    serviceNames: [],
    refresh: { idleLifetime: 86_400, absoluteLifetime: 172_800, retryWindow: 0, lateRetryWindow: 3600 },
  })
})

test('late retries have no limit of their own unless one is set; 0 turns them off', t => {
  const lateRetryWindow = (env: Environment) => readConfig(env).oauth.refresh.lateRetryWindow
  t.is(lateRetryWindow({ LATCHKEY_REFRESH_IDLE_TTL: '7d' }), undefined)
  t.is(lateRetryWindow({ LATCHKEY_REFRESH_IDLE_TTL: '7d', LATCHKEY_REFRESH_LATE_RETRY: '0' }), 0)
  t.is(lateRetryWindow({ LATCHKEY_REFRESH_LATE_RETRY: '90s' }), 90)
})

for (const issuer of [
  'https://auth.example.com',
  'https://auth.example.com:8443/tenant',
  'http://localhost:3000',
  'http://127.0.0.1',
  'http://[::1]:3000',
]) {
  test(`the issuer ${issuer} is taken as it is, and without the slash at its end (RFC 8414 §2)`, t => {
    t.is(readConfig({ LATCHKEY_ISSUER: issuer }).issuer, issuer)
    t.is(readConfig({ LATCHKEY_ISSUER: `${issuer}/` }).issuer, issuer)
  })
}

for (const issuer of [
  'http://auth.example.com',
  'http://localhost.example.com',
  'http://127.0.0.1.example.com',
  'https://auth.example.com?tenant=1',
  'https://auth.example.com/?',
  'https://auth.example.com#top',
  'https://user:pass@auth.example.com',
  'ftp://localhost',
  'auth.example.com',
  '/auth',
  ' https://auth.example.com',
  'https://auth.example.com ',
  'https://auth.exam\nple.com',
  'https:auth.example.com',
  'https:\\\\auth.example.com',
  'https://auth.example.com//',
]) {
  test(`the issuer ${JSON.stringify(issuer)} is refused`, t => {
    t.regex(problem({ LATCHKEY_ISSUER: issuer }), /^LATCHKEY_ISSUER is .+, which cannot be used; it takes an https URL/)
  })
}

test('LATCHKEY_TRUST_PROXY takes addresses and networks of both kinds', t => {
  const trusted = readConfig({ LATCHKEY_TRUST_PROXY: '10.0.0.0/8, 192.0.2.1,::1,2001:db8::/32' }).trustProxy
  for (const address of ['10.255.0.1', '192.0.2.1']) t.true(trusted?.check(address, 'ipv4'), address)
  for (const address of ['11.0.0.1', '192.0.2.2']) t.false(trusted?.check(address, 'ipv4'), address)
  for (const address of ['::1', '2001:db8:ffff::1']) t.true(trusted?.check(address, 'ipv6'), address)
  for (const address of ['::2', '2001:db9::1']) t.false(trusted?.check(address, 'ipv6'), address)
})

test('LATCHKEY_TRUST_PROXY takes the networks of everybody', t => {
  const trusted = readConfig({ LATCHKEY_TRUST_PROXY: '0.0.0.0/0,::/0' }).trustProxy
  t.true(trusted?.check('203.0.113.1', 'ipv4'))
  t.true(trusted?.check('2001:db8::1', 'ipv6'))
})

test('an unknown LATCHKEY_ name is refused, with the settings that it may have meant', t => {
  t.is(
    problem({ LATCHKEY_RETRY_WINDOW: '60s' }),
    'LATCHKEY_RETRY_WINDOW is not a setting of latchkey; did you mean LATCHKEY_REFRESH_RETRY_WINDOW?',
  )
  t.is(problem({ LATCHKEY_COLOUR: 'blue' }), 'LATCHKEY_COLOUR is not a setting of latchkey')
  t.is(problem({ LATCHKEY_REFRESH_RETRY_WINDOW: '60s' }), '')
})

test('names of objects are unknown settings like any other', t => {
  for (const name of ['LATCHKEY_', 'LATCHKEY___proto__', 'LATCHKEY_constructor']) {
    t.true(problem({ [name]: 'x' }).startsWith(`${name} is not a setting of latchkey`), name)
  }
})

test('the value of an unknown setting is not shown: it may be a misspelt secret', t => {
  t.false(problem({ LATCHKEY_SECRETS: 'hunter2-hunter2' }).includes('hunter2'))
})

test('a secret is never shown', t => {
  const missing = problem({ LATCHKEY_DATABASE_URL: 'postgres://latchkey:hunter2@db/latchkey' })
  t.is(
    missing,
    'LATCHKEY_SECRET and LATCHKEY_SECRET_FILE are both missing; with PostgreSQL give one of them: every node needs the same master secret',
  )
  const both = problem({ LATCHKEY_SECRET: 'hunter2', LATCHKEY_SECRET_FILE: '/run/hunter3' })
  t.is(both, 'LATCHKEY_SECRET and LATCHKEY_SECRET_FILE are both set; give one of them')
})

test('every problem is told at once, one a line, each naming its variable', t => {
  const lines = problem({
    LATCHKEY_PORT: 'http',
    LATCHKEY_ISSUER: 'http://auth.example.com',
    LATCHKEY_COLOUR: 'blue',
    LATCHKEY_SECRET: 'a',
    LATCHKEY_SECRET_FILE: 'b',
    LATCHKEY_REFRESH_IDLE_TTL: 'long',
  }).split('\n')
  t.is(lines.length, 5)
  for (const name of ['PORT', 'ISSUER', 'COLOUR', 'SECRET', 'REFRESH_IDLE_TTL']) {
    t.is(lines.filter(line => line.startsWith(`LATCHKEY_${name} `)).length, 1, name)
  }
})

test('a new password has 15 characters at least, or from 8 to 64 as is set (NIST SP 800-63B-4 §3.1.1.2)', t => {
  t.is(readConfig({}).oauth.minSolePassword, 15)
  for (const min of ['8', '64']) t.is(readConfig({ LATCHKEY_PASSWORD_MIN: min }).oauth.minSolePassword, Number(min))
  for (const min of ['7', '65', '15 characters'])
    t.regex(
      problem({ LATCHKEY_PASSWORD_MIN: min }),
      /^LATCHKEY_PASSWORD_MIN is .* it takes a number of characters, 8 to 64/,
    )
})

test('argon2 needs 8 KiB for each lane (RFC 9106 §3.1)', t => {
  const lanes = { LATCHKEY_ARGON2_LANES: '4' }
  t.regex(problem({ ...lanes, LATCHKEY_ARGON2_MEMORY: '31' }), /^LATCHKEY_ARGON2_MEMORY must be at least 8 KiB/)
  t.like(readConfig({ ...lanes, LATCHKEY_ARGON2_MEMORY: '32' }).passwordHashing, { memory: 32, lanes: 4 })
})

test('a hash of the highest costs that can be set can be read again, by the server and by user import', t => {
  const { memory, passes, lanes } = readConfig({
    LATCHKEY_ARGON2_MEMORY: '1048576',
    LATCHKEY_ARGON2_PASSES: '99',
    LATCHKEY_ARGON2_LANES: '16',
  }).passwordHashing
  const [salt, digest] = ['A'.repeat(22), 'A'.repeat(43)]
  t.is(passwordHashProblem(`$argon2id$v=19$m=${memory},t=${passes},p=${lanes}$${salt}$${digest}`), undefined)
})

test('the account, the network and the longest delay of the throttle can be set; the rest follows or is fixed', t => {
  const { throttle } = readConfig({
    LATCHKEY_THROTTLE: 'off',
    LATCHKEY_THROTTLE_ACCOUNT: '2',
    LATCHKEY_THROTTLE_NETWORK: '7',
    LATCHKEY_THROTTLE_LONGEST_DELAY: '30s',
  })
  t.deepEqual(throttle, {
    ...readConfig({}).throttle,
    enabled: false,
    account: 2,
    elsewhere: 6,
    network: 7,
    site: 70,
    maxDelay: 30,
  })
})

for (const [name, value, now] of [
  ['ELSEWHERE', '30', 'three times LATCHKEY_THROTTLE_ACCOUNT'],
  ['SITE', '1000', 'ten times LATCHKEY_THROTTLE_NETWORK'],
  ['PASSWORD', '50', '50 failures'],
  ['FORGET_ACCOUNT', '10m', '10 minutes'],
  ['FORGET_NETWORK', '1m', 'one minute'],
  ['KNOWN_NETWORK', '90d', '90 days'],
  ['ENTRIES', '100000', '100,000 counters'],
]) {
  test(`LATCHKEY_THROTTLE_${name} of before is refused in words, even with what it is now`, t => {
    t.is(
      problem({ [`LATCHKEY_THROTTLE_${name}`]: value }),
      `LATCHKEY_THROTTLE_${name} cannot be set any more: it is always ${now}; take it out`,
    )
  })
}

test('a settings error is exit code 78, EX_CONFIG', t => {
  t.is(ConfigError.exitCode, 78)
})

test('the database is a path: not memory, not another host', t => {
  for (const url of ['file::memory:', 'file://host/latchkey.db', 'file:']) {
    t.regex(
      problem({ LATCHKEY_DATABASE_URL: url }),
      /^LATCHKEY_DATABASE_URL has a value that cannot be used; it takes file:PATH or postgres:\/\/USER@HOST\/DATABASE$/,
    )
  }
  for (const url of ['file:latchkey.db', 'file:/var/lib/latchkey.db', 'file:///var/lib/latchkey.db']) {
    t.is(problem({ LATCHKEY_DATABASE_URL: url }), '')
  }
})

const withSecret = { LATCHKEY_SECRET_FILE: '/run/secret' }

test('a PostgreSQL is a URL as libpq reads it, with the password there or in PGPASSWORD', t => {
  const read = (env: Environment) => readConfig({ ...withSecret, ...env }).database
  const url = 'postgres://latchkey@a,b:5433/auth?sslmode=require'
  const database = read({ LATCHKEY_DATABASE_URL: url, PGPASSWORD: 'hunter2' })
  t.like(database, { kind: 'postgres', url: { user: 'latchkey', database: 'auth', password: 'hunter2' } })
  const inUrl = read({ LATCHKEY_DATABASE_URL: 'postgresql://latchkey:hunter3@a/auth', PGPASSWORD: 'hunter2' })
  t.like(inUrl, { kind: 'postgres', url: { password: 'hunter3' } })
})

test('with PostgreSQL a master secret has to be given: one that a node makes is no other node’s', t => {
  const database = { LATCHKEY_DATABASE_URL: 'postgres://latchkey@db/latchkey' }
  t.regex(problem(database), /^LATCHKEY_SECRET and LATCHKEY_SECRET_FILE are both missing; with PostgreSQL[^\n]+$/)
  t.is(problem({ ...database, ...withSecret }), '')
  t.is(problem({ ...database, LATCHKEY_SECRET: 'a' }), '')
  t.is(problem({ LATCHKEY_DATABASE_URL: 'file:latchkey.db' }), '')
})

test('a PostgreSQL URL that cannot be used is one line with the reason and without the password, wherever that stands', t => {
  const passwords = ['hunter2', 'hunter2@', 'hunter2/x', 'hunter2%', 'hunter2?a=b', 'hunter2#', 'hunter2:9']
  const urls = passwords.flatMap(password => [
    `postgres://latchkey:${password}@db:port/latchkey`,
    `postgres://latchkey:${password}@db/latchkey?sslmode=always`,
    `postgres://latchkey@db/latchkey?password=${password}&port=x`,
    `postgres:latchkey:${password}@db`,
    `postgres://:${password}@db`,
    `mysql://latchkey:${password}@db/latchkey`,
    `file://latchkey:${password}@db/latchkey`,
  ])
  for (const url of urls) {
    const text = problem({ ...withSecret, LATCHKEY_DATABASE_URL: url })
    t.regex(text, /^LATCHKEY_DATABASE_URL has a value that cannot be used; it takes file:PATH or postgres:[^\n]+$/, url)
    t.false(text.includes('hunter2'), text)
  }
})

test('mails come from an address, with a name or without; what is a list or a header is refused (CWE-93)', t => {
  const from = (text: string) => readConfig({ ...smtp, LATCHKEY_MAIL_FROM: text }).mail?.from
  const smtp = { LATCHKEY_SMTP_URL: 'smtp://127.0.0.1:2525' }
  t.deepEqual(from('accounts@example.com'), { address: 'accounts@example.com' })
  t.deepEqual(from('Example Shop <accounts@example.com>'), { name: 'Example Shop', address: 'accounts@example.com' })
  for (const text of [
    'accounts',
    'a@example.com, b@example.com',
    'A <a@example.com>, <b@example.com>',
    'A\r\nBcc: x <a@example.com>',
    'A" <a@example.com>',
    'a@example.com <b@example.com> c',
  ])
    t.regex(problem({ ...smtp, LATCHKEY_MAIL_FROM: text }), /^LATCHKEY_MAIL_FROM is /m, text)
})

test('LATCHKEY_SMTP_URL says where mails are handed to, how the connection is kept secret, and as whom (RFC 8314 §3)', t => {
  const smtp = (url: string) => readConfig({ LATCHKEY_SMTP_URL: url, LATCHKEY_MAIL_FROM: 'a@example.com' }).mail?.smtp
  t.deepEqual(smtp('smtp://mail.example.com'), { host: 'mail.example.com', port: 587, tls: 'required' })
  t.deepEqual(smtp('smtps://us%40er:p%3Aw@mail.example.com/'), {
    host: 'mail.example.com',
    port: 465,
    tls: 'implicit',
    credentials: { user: 'us@er', password: 'p:w' },
  })
  t.deepEqual(smtp('smtp://[::1]:25'), { host: '::1', port: 25, tls: 'optional' })
  for (const url of [
    'mail.example.com',
    'http://mail.example.com',
    'smtp://mail.example.com/x',
    'smtp://user@mail.example.com',
    'smtp://a:%zz@mail.example.com',
    'smtp://m.example.com?tls=no',
  ]) {
    const problems = problem({ LATCHKEY_SMTP_URL: url, LATCHKEY_MAIL_FROM: 'a@example.com' })
    t.regex(problems, /^LATCHKEY_SMTP_URL has a value that cannot be used/m, url)
    t.false(problems.includes('%zz'))
  }
})

test('what needs a mail is refused where none is sent: LATCHKEY_SIGN_UP, and a server without a sender', t => {
  t.regex(problem({ LATCHKEY_SIGN_UP: 'on' }), /needs LATCHKEY_SMTP_URL/)
  t.regex(problem({ LATCHKEY_SMTP_URL: 'smtp://127.0.0.1' }), /LATCHKEY_MAIL_FROM is missing/)
  t.true(
    readConfig({ LATCHKEY_SIGN_UP: 'on', LATCHKEY_SMTP_URL: 'smtp://127.0.0.1', LATCHKEY_MAIL_FROM: 'a@example.com' })
      .oauth.signUp,
  )
})

test('LATCHKEY_NOTICES names those that are sent; all by default', t => {
  t.deepEqual(readConfig({}).notices, notices)
  t.deepEqual(readConfig({ LATCHKEY_NOTICES: 'none' }).notices, [])
  t.deepEqual(readConfig({ LATCHKEY_NOTICES: 'new_device, password_changed' }).notices, [
    'new_device',
    'password_changed',
  ])
  t.regex(problem({ LATCHKEY_NOTICES: 'sign_up' }), /^LATCHKEY_NOTICES is /)
})
