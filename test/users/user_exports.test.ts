/**
 * Exports of other programs, in the shape in which their tools write them, with made-up people: each goes in as it is, and who had
 * a password signs in with it. Shapes: firebase-tools (accountExporter), Auth0 (support's dump of hashes, user export job), Supabase
 * Auth (the table auth.users), Keycloak (kc.sh export), Django (dumpdata; CSV of the table), WordPress (wp user list).
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createFolder, migratedDeployment, postForm, runCommand, startProcess } from '../_process.ts'
import { password } from '../_server.ts'

/** All of {@link password}. */
const hashes = {
  bcrypt: '$2y$04$CKx5qkDNLhjEum3YwqVJ4ezxbvbyXfTzK.OG8AcbI2kYKMIjd.7.S',
  django: 'pbkdf2_sha256$2000$seasalt2$wxn68846qjDWD4qkn/0owVuveynrPhmySXSuVzeQu00=',
  phpass: '$P$6qMIA.172/Ho9NsgcjyQoYMxrktex50',
  wordpress: '$wp$2y$04$wJSS4rtLczPdfvvb.8coVeQyP6P9RBS9sz8MjKge9hMjNuRrvJ4AW',
}

type Expected = Readonly<{
  username: string
  email?: string
  email_verified?: boolean
  full_name?: string
  created_at?: number
  disabled?: boolean
  /** The password that signs in; none for a user without one. */
  password?: string
}>

/** Imports a file as it is and checks who came in, what the report says, and who can sign in. */
async function importExport(
  t: ExecutionContext,
  file: string | Record<string, string>,
  args: readonly string[],
  report: object,
  expected: readonly Expected[],
) {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder, { LATCHKEY_THROTTLE: 'off' })
  const files = typeof file === 'string' ? { users: file } : file
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const paths = args.map(arg => (arg in files ? join(folder, arg) : arg))
  await runCommand(['migrate'], environment)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], environment)

  const result = await runCommand(['user', 'import', join(folder, 'users'), '--json', ...paths], environment)
  t.deepEqual([result.code, result.stderr], [0, ''])
  t.like(JSON.parse(result.stdout), { imported: expected.length, ...report })

  const list = JSON.parse((await runCommand(['user', 'list', '--json'], environment)).stdout)
  const sorted = expected.toSorted((one, other) => (one.username < other.username ? -1 : 1))
  t.deepEqual(
    list.map((user: Record<string, unknown>) => ({ ...user, id: undefined, disabled_at: undefined })),
    sorted.map(({ username, email, email_verified, full_name, created_at, password: right }, i) => ({
      id: undefined,
      username,
      email: email ?? null,
      email_verified: email_verified ?? false,
      full_name: full_name ?? null,
      roles: [],
      has_password: right !== undefined,
      created_at: created_at ?? list[i]?.created_at,
      disabled_at: undefined,
      delete_at: null,
    })),
  )
  t.deepEqual(
    list.map(({ disabled_at }: { disabled_at: number | null }) => disabled_at !== null),
    sorted.map(({ disabled = false }) => disabled),
  )

  const { url } = await startProcess(t, environment)
  for (const { username, password: right, disabled } of expected) {
    const signIn = async (given: string) =>
      (await postForm(`${url}/token`, { grant_type: 'password', client_id: 'app', username, password: given })).status
    t.is(await signIn(`${right ?? password}!`), 400, username)
    t.is(await signIn(right ?? password), right === undefined || disabled ? 400 : 200, username)
  }
}

/** The project and the password of Firebase's own documentation. */
const firebaseConfig = `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
`
const firebaseUsers = JSON.stringify(
  {
    users: [
      {
        localId: 'Jz0vKQ9XyPRTQm3lXcN2Yb1aZ7o1',
        email: 'alice@example.com',
        emailVerified: true,
        passwordHash: 'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
        salt: '42xEC+ixf3L2lw==',
        displayName: 'Alice Example',
        photoUrl: 'https://example.com/alice.png',
        lastSignedInAt: '1718000000000',
        createdAt: '1714558830123',
        disabled: false,
        customAttributes: '{"role":"admin"}',
        providerUserInfo: [],
      },
      {
        localId: 'b0bb0bb0bb0bb0bb0bb0bb0bb0b1',
        email: 'bob@example.com',
        emailVerified: true,
        displayName: 'Bob Example',
        lastSignedInAt: '1718000000000',
        createdAt: '1714558831000',
        disabled: false,
        providerUserInfo: [
          {
            providerId: 'google.com',
            rawId: '100000000000000000001',
            email: 'bob@example.com',
            displayName: 'Bob Example',
          },
        ],
      },
      {
        localId: 'car0lcar0lcar0lcar0lcar0lca1',
        email: 'carol@example.com',
        emailVerified: false,
        passwordHash: 'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
        salt: '42xEC+ixf3L2lw==',
        lastSignedInAt: '1718000000000',
        createdAt: '1714558832000',
        disabled: true,
        providerUserInfo: [],
      },
      {
        localId: 'phone000000000000000000000p1',
        phoneNumber: '+15550100',
        createdAt: '1714558833000',
        providerUserInfo: [],
      },
      { localId: 'anon0000000000000000000000a1', createdAt: '1714558834000', disabled: false, providerUserInfo: [] },
    ],
  },
  null,
  2,
)

test('firebase auth:export --format=json, with the hash parameters that the console shows', async t => {
  await importExport(
    t,
    { users: firebaseUsers, config: firebaseConfig },
    ['--firebase-hash-config', 'config'],
    { without_password: 2, disabled: 1, left_out: 1 },
    [
      {
        username: 'alice@example.com',
        email: 'alice@example.com',
        email_verified: true,
        full_name: 'Alice Example',
        created_at: 1_714_558_830,
        password: 'user1password',
      },
      {
        username: 'bob@example.com',
        email: 'bob@example.com',
        email_verified: true,
        full_name: 'Bob Example',
        created_at: 1_714_558_831,
      },
      {
        username: 'carol@example.com',
        email: 'carol@example.com',
        created_at: 1_714_558_832,
        disabled: true,
        password: 'user1password',
      },
      { username: '+15550100', created_at: 1_714_558_833 },
    ],
  )
})

test('an export of Firebase without the parameters of its hashes is refused in words, and a file that has none too', async t => {
  const folder = createFolder(t)
  const file = join(folder, 'users.json')
  writeFileSync(file, firebaseUsers)
  const { code, stderr } = await runCommand(['user', 'import', file], migratedDeployment(folder))
  t.is(code, 1)
  t.regex(stderr, /entry 1: passwordHash: is one of Firebase, which needs .*--firebase-hash-config FILE/)
  const wrong = await runCommand(['user', 'import', file, '--firebase-hash-config', file], migratedDeployment(folder))
  t.regex(wrong.stderr, /has not the password hash parameters of a Firebase project/)
})

test("Auth0's dump of password hashes: lines of MongoDB's extended JSON", async t => {
  const lines = [
    {
      _id: { $oid: '5dea9f9c82dd7c0e76e4ec93' },
      email_verified: false,
      email: 'alice@example.com',
      passwordHash: hashes.bcrypt.replace('$2y$', '$2b$'),
      password_set_date: { $date: '2019-12-06T18:36:12.412Z' },
      tenant: 'example',
      connection: 'Username-Password-Authentication',
      _tmp_is_unique: true,
      identifiers: [{ type: 'email', value: 'alice@example.com', verified: false }],
      alt_id: 'euclid',
    },
    {
      _id: { $oid: '5dea9f9c82dd7c0e76e4ec94' },
      passwordHash: hashes.bcrypt.replace('$2y$', '$2a$'),
      tenant: 'example',
      connection: 'Username-Password-Authentication',
      identifiers: [{ type: 'email', value: 'bob@example.com', verified: true }],
    },
  ]
  await importExport(t, lines.map(line => `${JSON.stringify(line)}\n`).join(''), [], { without_password: 0 }, [
    { username: 'alice@example.com', email: 'alice@example.com', password },
    { username: 'bob@example.com', email: 'bob@example.com', email_verified: true, password },
  ])
})

test("Auth0's user export job: lines of JSON, with who is blocked and without passwords", async t => {
  const user = (name: string, members: object) => ({
    user_id: `auth0|${name}`,
    email: `${name}@example.com`,
    email_verified: true,
    name: `${name}@example.com`,
    nickname: name,
    created_at: '2024-05-01T10:20:30.123Z',
    identities: [{ connection: 'Username-Password-Authentication', user_id: name, provider: 'auth0', isSocial: false }],
    ...members,
  })
  const lines = [
    user('alice', { blocked: true, name: 'Alice Example' }),
    user('bob', {}),
    user('carol', { blocked: false }),
  ]
  await importExport(
    t,
    lines.map(line => `${JSON.stringify(line)}\n`).join(''),
    [],
    { without_password: 3, disabled: 1 },
    [
      {
        username: 'alice@example.com',
        email: 'alice@example.com',
        email_verified: true,
        full_name: 'Alice Example',
        disabled: true,
      },
      { username: 'bob@example.com', email: 'bob@example.com', email_verified: true, created_at: 1_714_558_830 },
      { username: 'carol@example.com', email: 'carol@example.com', email_verified: true, created_at: 1_714_558_830 },
    ],
  )
})

const supabaseColumns =
  'instance_id,id,aud,role,email,encrypted_password,email_confirmed_at,invited_at,confirmation_token,confirmation_sent_at,recovery_token,recovery_sent_at,email_change_token_new,email_change,email_change_sent_at,last_sign_in_at,raw_app_meta_data,raw_user_meta_data,is_super_admin,created_at,updated_at,phone,phone_confirmed_at,phone_change,phone_change_token,phone_change_sent_at,confirmed_at,email_change_token_current,email_change_confirm_status,banned_until,reauthentication_token,reauthentication_sent_at,is_sso_user,deleted_at,is_anonymous'.split(
    ',',
  )

test('the table auth.users of Supabase as CSV', async t => {
  const quote = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const row = (members: Record<string, string>) => {
    const values: Record<string, string> = {
      instance_id: '00000000-0000-0000-0000-000000000000',
      id: '8c5e5b5a-4a0e-4a57-9a57-2f4e1d0c9b01',
      aud: 'authenticated',
      role: 'authenticated',
      raw_app_meta_data: '{"provider": "email", "providers": ["email"]}',
      raw_user_meta_data: '{}',
      created_at: '2024-05-01 10:20:30.123456+00',
      updated_at: '2024-05-02 10:20:30.123456+00',
      email_confirmed_at: '2024-05-01 10:25:30.123456+00',
      confirmed_at: '2024-05-01 10:25:30.123456+00',
      email_change_confirm_status: '0',
      is_sso_user: 'f',
      is_anonymous: 'f',
      ...members,
    }
    return supabaseColumns.map(name => quote(values[name] ?? '')).join(',')
  }
  const rows = [
    row({
      email: 'alice@example.com',
      encrypted_password: hashes.bcrypt.replace('$2y$', '$2a$'),
      raw_user_meta_data: '{"full_name": "Alice, Example", "email_verified": true}',
    }),
    row({
      email: 'bob@example.com',
      raw_user_meta_data: '{"name": "Bob Example", "iss": "https://accounts.google.com"}',
    }),
    row({ email: 'carol@example.com', encrypted_password: hashes.bcrypt, banned_until: '2124-05-01 10:20:30+00' }),
    row({ email: 'dave@example.com', encrypted_password: hashes.bcrypt, deleted_at: '2024-06-01 10:20:30.5+00' }),
    row({ email: 'erin@example.com', encrypted_password: hashes.bcrypt, banned_until: '2024-05-02 10:20:30+00' }),
    row({ phone: '15550100', encrypted_password: hashes.bcrypt }),
    row({ is_anonymous: 't' }),
  ]
  const created_at = 1_714_558_830
  await importExport(
    t,
    [supabaseColumns.join(','), ...rows, ''].join('\n'),
    [],
    { without_password: 1, disabled: 2, left_out: 1 },
    [
      {
        username: 'alice@example.com',
        email: 'alice@example.com',
        email_verified: true,
        full_name: 'Alice, Example',
        created_at,
        password,
      },
      {
        username: 'bob@example.com',
        email: 'bob@example.com',
        email_verified: true,
        full_name: 'Bob Example',
        created_at,
      },
      {
        username: 'carol@example.com',
        email: 'carol@example.com',
        email_verified: true,
        created_at,
        disabled: true,
        password,
      },
      {
        username: 'dave@example.com',
        email: 'dave@example.com',
        email_verified: true,
        created_at,
        disabled: true,
        password,
      },
      { username: 'erin@example.com', email: 'erin@example.com', email_verified: true, created_at, password },
      { username: '15550100', created_at, password },
    ],
  )
})

test('a realm that Keycloak exported, with PBKDF2 and Argon2', async t => {
  const user = (username: string, members: object, secret?: object, data?: object) => ({
    id: `0a6f0f0e-0000-4000-8000-${username.padEnd(12, '0').slice(0, 12)}`,
    createdTimestamp: 1_714_558_830_123,
    username,
    enabled: true,
    totp: false,
    emailVerified: true,
    credentials:
      secret === undefined
        ? []
        : [
            {
              id: '5d3f3f0e-0000-4000-8000-000000000000',
              type: 'password',
              createdDate: 1_714_558_830_456,
              secretData: JSON.stringify(secret),
              credentialData: JSON.stringify(data),
            },
          ],
    disableableCredentialTypes: [],
    requiredActions: [],
    realmRoles: ['default-roles-example'],
    notBefore: 0,
    groups: [],
    ...members,
  })
  const realm = {
    id: 'example',
    realm: 'example',
    enabled: true,
    sslRequired: 'external',
    users: [
      user(
        'alice',
        { firstName: 'Alice', lastName: 'Example', email: 'alice@example.com' },
        {
          value: 'Q6gTxVwMfqTpYQNtsC1QxCk4PLfmqW1J5yOWvkE+pn/hI2d+2ekeaK9wKwcAG6JpH4D8NMEfjH9r2hds6zclrg==',
          salt: 'c2Vhc2FsdHNlYXNhbHQxMg==',
          additionalParameters: {},
        },
        { hashIterations: 27_500, algorithm: 'pbkdf2-sha256', additionalParameters: {} },
      ),
      user(
        'bob',
        { firstName: 'Bob' },
        {
          value: '0Hr26gjHDNPkQkjgEMtLBH5k9Fu+e5Qq0ESLUl9UAaw=',
          salt: 'b1Biand4b1VkelczYTdlTQ==',
          additionalParameters: {},
        },
        {
          hashIterations: 2,
          algorithm: 'argon2',
          additionalParameters: {
            hashLength: ['32'],
            memory: ['64'],
            type: ['id'],
            version: ['1.3'],
            parallelism: ['1'],
          },
        },
      ),
      user('carol', { enabled: false }),
      user('dave', { federatedIdentities: [{ identityProvider: 'google', userId: '1', userName: 'dave' }] }),
      user('service-account-web', { serviceAccountClientId: 'web' }),
    ],
    clients: [{ clientId: 'web', enabled: true }],
  }
  const created_at = 1_714_558_830
  await importExport(t, JSON.stringify(realm, null, 2), [], { without_password: 2, disabled: 1, left_out: 1 }, [
    {
      username: 'alice',
      email: 'alice@example.com',
      email_verified: true,
      full_name: 'Alice Example',
      created_at,
      password,
    },
    { username: 'bob', full_name: 'Bob', created_at, password },
    { username: 'carol', created_at, disabled: true },
    { username: 'dave', created_at },
  ])
})

test('manage.py dumpdata auth.user, and the same table as CSV', async t => {
  const user = (pk: number, username: string, members: object) => ({
    model: 'auth.user',
    pk,
    fields: {
      password: hashes.django,
      last_login: '2024-06-01T10:20:30.123Z',
      is_superuser: false,
      username,
      first_name: '',
      last_name: '',
      email: '',
      is_staff: false,
      is_active: true,
      date_joined: '2024-05-01T10:20:30.123Z',
      groups: [],
      user_permissions: [],
      ...members,
    },
  })
  const created_at = 1_714_558_830
  const expected: Expected[] = [
    { username: 'alice', email: 'alice@example.com', full_name: 'Alice Example', created_at, password },
    { username: 'bob', created_at, disabled: true, password },
    { username: 'carol', created_at },
  ]
  await importExport(
    t,
    JSON.stringify([
      user(1, 'alice', { first_name: 'Alice', last_name: 'Example', email: 'alice@example.com' }),
      user(2, 'bob', { is_active: false }),
      user(3, 'carol', { password: '!E0FnLkjMoxMLuqMMD3WH2czgjydKgLRBYLgrg1H4', last_login: null }),
    ]),
    [],
    { without_password: 1, disabled: 1 },
    expected,
  )
  const csv = `id,password,last_login,is_superuser,username,first_name,last_name,email,is_staff,is_active,date_joined
1,${hashes.django},2024-06-01 10:20:30.123456+00,f,alice,Alice,Example,alice@example.com,f,t,2024-05-01 10:20:30.123456+00
2,${hashes.django},,f,bob,"","","",f,f,2024-05-01 10:20:30.123456+00
3,!E0FnLkjMoxMLuqMMD3WH2czgjydKgLRBYLgrg1H4,,f,carol,"","","",f,t,2024-05-01 10:20:30.123456+00
`
  await importExport(t, csv, [], { without_password: 1, disabled: 1 }, expected)
})

test('wp user list --format=csv, and the table wp_users of a network', async t => {
  const created_at = 1_714_558_830
  const expected: Expected[] = [
    { username: 'alice', email: 'alice@example.com', full_name: 'Alice Example', created_at, password },
    { username: 'bob', email: 'bob@example.com', full_name: 'bob', created_at, password },
  ]
  const list = `user_login,user_pass,user_email,display_name,user_registered,user_status
alice,${hashes.wordpress},alice@example.com,"Alice Example","2024-05-01 10:20:30",0
bob,${hashes.phpass},bob@example.com,bob,"2024-05-01 10:20:30",0
`
  await importExport(t, list, [], { disabled: 0 }, expected)
  const table = `ID,user_login,user_pass,user_nicename,user_email,user_url,user_registered,user_activation_key,user_status,display_name,spam,deleted
1,alice,${hashes.wordpress},alice,alice@example.com,https://example.com,2024-05-01 10:20:30,1718000000:$P$BAbcdefgh,0,Alice Example,0,0
2,bob,${hashes.phpass},bob,bob@example.com,,2024-05-01 10:20:30,,0,bob,0,0
3,carol,${hashes.phpass},carol,carol@example.com,,0000-00-00 00:00:00,,0,carol,1,0
4,dave,${hashes.phpass},dave,dave@example.com,,2024-05-01 10:20:30,,0,dave,0,1
`
  await importExport(t, table, [], { disabled: 2 }, [
    ...expected,
    { username: 'carol', email: 'carol@example.com', full_name: 'carol', disabled: true, password },
    { username: 'dave', email: 'dave@example.com', full_name: 'dave', created_at, disabled: true, password },
  ])
})
