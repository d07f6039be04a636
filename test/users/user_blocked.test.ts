/** Who was blocked in another program stays blocked: what members say it, what refuses a line, and how to go on (CWE-863). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import bcrypt from 'bcrypt'
import { parseUserFile } from '../../src/users/user_file.ts'
import { createFolder, migratedDeployment, postForm, runCommand, startProcess } from '../_process.ts'
import { createTestRandom, startTime as start } from '../_server.ts'

const hashed_password = '$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW'

const read = (members: object, ignore: string[] = []) =>
  parseUserFile(JSON.stringify([{ username: 'alice', hashed_password, ...members }]), start, createTestRandom(), {
    ignore,
  })
const readCsv = (names: string, values: string) =>
  parseUserFile(`username,hashed_password,${names}\nalice,${hashed_password},${values}\n`, start, createTestRandom())
const problems = (members: object) => read(members).problems.map(({ member, problem }) => `${member}: ${problem}`)
const isDisabled = (members: object) => {
  const file = read(members)
  return file.problems.length === 0 && file.users[0]?.user.disabledAt !== undefined
}

const later = '2100-01-01 00:00:00+00'
const before = '2020-01-01 00:00:00+00'

/** What says that a user is blocked, and what says in the same member that the user is not. */
const pairs: [member: string, blocked: unknown, free: unknown][] = [
  ['is_active', false, true],
  ['isActive', 0, 1],
  ['active', 'f', 't'],
  ['enabled', false, true],
  ['account_enabled', false, true],
  ['disabled', true, false],
  ['is_disabled', '1', '0'],
  ['blocked', true, false],
  ['banned', true, null],
  ['locked', true, false],
  ['is_locked', 1, 0],
  ['accountNonLocked', false, true],
  ['suspended', true, false],
  ['deactivated', true, false],
  ['is_deleted', true, false],
  ['revoked', true, false],
  ['archived', true, false],
  ['deleted_at', before, null],
  ['suspended_at', before, ''],
  ['locked_at', 1_600_000_000, null],
  ['banned_until', later, before],
  ['suspended_till', 'infinity', before],
  ['LockoutEnd', later, null],
  ['status', 'disabled', 'active'],
  ['status', 'SUSPENDED', 'ACTIVE'],
  ['state', 'blocked', 'active'],
  ['user_status', 'Locked Out', '0'],
]

for (const [member, blocked, free] of pairs) {
  test(`${member}: ${blocked} comes in disabled, and ${free} does not`, t => {
    t.true(isDisabled({ [member]: blocked }))
    t.deepEqual(problems({ [member]: free }), [])
    t.false(isDisabled({ [member]: free }))
  })
}

test('the time since when is kept, where there is one', t => {
  t.is(read({ deleted_at: '2020-09-13 12:26:40+00' }).users[0]?.user.disabledAt, 1_600_000_000)
  t.is(read({ is_deleted: true, deleted_at: '2020-09-13T12:26:40Z' }).users[0]?.user.disabledAt, 1_600_000_000)
  t.is(read({ blocked: true }).users[0]?.user.disabledAt, start)
})

test('CSV says it in the texts of PostgreSQL and MySQL', t => {
  for (const [names, values, expected] of [
    ['is_active', 'f', true],
    ['is_active', 't', false],
    ['is_active', '0', true],
    ['deleted_at', '\\N', false],
    ['deleted_at', 'NULL', false],
    ['deleted_at', '2024-05-01 10:20:30.123456+00', true],
    ['banned_until,is_active', '2100-01-01 00:00:00,1', true],
  ] as const) {
    const file = readCsv(names, values)
    t.deepEqual(file.problems, [])
    t.is(file.users[0]?.user.disabledAt !== undefined, expected, `${names} ${values}`)
  }
})

for (const [member, value] of [
  ['chat_blocked', true],
  ['ban_reason', 'spam'],
  ['account_locked_reason', 'fraud'],
  ['suspension', { until: 'ever' }],
  ['login_disabled', false],
  ['activated_at', before],
  ['deletedBy', 7],
  ['revocation_status', 'none'],
  ['status', 'pending'],
  ['status', 3],
  ['user_status', '1'],
] as const) {
  test(`${member}: ${JSON.stringify(value)} is not understood and refuses the line; --ignore goes on`, t => {
    t.deepEqual(problems({ [member]: value }), [
      `${member}: may mean that this user is blocked; say it as disabled, or leave it out with --ignore`,
    ])
    const file = read({ [member]: value }, [member])
    t.deepEqual([file.problems.length, file.users.length, file.ignored], [0, 1, [member]])
  })
}

test('a flag or a time that cannot be read refuses the line', t => {
  t.deepEqual(problems({ is_active: 'maybe' }), ['is_active: is not true or false'])
  t.deepEqual(problems({ banned_until: 'soon' }), ['banned_until: is not seconds since 1970 or a time of ISO 8601'])
})

test('what contradicts itself refuses the line; what is about two things blocks if one does', t => {
  t.deepEqual(problems({ disabled: false, is_active: false }), ['is_active: contradicts disabled'])
  t.deepEqual(problems({ is_active: true, status: 'suspended' }), ['status: contradicts is_active'])
  t.deepEqual(problems({ deleted: false, deleted_at: before }), ['deleted_at: contradicts deleted'])
  t.true(isDisabled({ is_active: true, banned: true }))
  t.true(isDisabled({ enabled: true, account_non_locked: false }))
  t.false(isDisabled({ enabled: true, account_non_locked: true, banned: false }))
})

test('what is said below another member refuses the line as well, and there only what is known', t => {
  t.deepEqual(problems({ profile: { flags: { is_active: false } } }), [
    'profile: says in flags.is_active that this user is blocked; say it as disabled beside it',
  ])
  t.deepEqual(problems({ profile: { is_active: true, theme: { animation_disabled: true } } }), [])
})

test('members that only sound like it are no reason to refuse', t => {
  const harmless = {
    bank_account: 'x',
    locale: 'ko',
    last_activity: before,
    activity_count: 7,
    mfa_enabled: true,
    notifications_enabled: false,
    lockout_enabled: true,
    user_activation_key: 'key',
    block_reason: null,
    banner: 'picture',
    blockchain_address: '0x',
    urban: true,
  }
  t.deepEqual(problems(harmless), [])
  t.false(isDisabled(harmless))
})

test('users who are blocked in the file are refused at sign-in until they are enabled, the others are not', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder)
  const file = join(folder, 'users')
  const hash = await bcrypt.hash('a good password', 4)
  const line = (username: string, members: object) => JSON.stringify({ username, password: hash, ...members })
  writeFileSync(
    file,
    [line('alice', { is_active: false }), line('bob', { blocked: true }), line('carol', { is_active: true })].join(
      '\n',
    ),
  )
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], environment)
  const { code, stdout } = await runCommand(['user', 'import', file], environment)
  t.deepEqual([code, stdout], [0, 'imported 3 users\ndisabled: 2 users\n'])

  const { url } = await startProcess(t, environment)
  const signIn = async (username: string) =>
    (
      await postForm(`${url}/token`, {
        grant_type: 'password',
        client_id: 'app',
        username,
        password: 'a good password',
      })
    ).status
  t.deepEqual([await signIn('alice'), await signIn('bob'), await signIn('carol')], [400, 400, 200])
  await runCommand(['user', 'enable', 'alice'], environment)
  t.is(await signIn('alice'), 200)
})
