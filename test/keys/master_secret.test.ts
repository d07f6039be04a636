/** The master secret: its text form, and client secrets as digests that the database alone cannot be used to guess. */
import { createSecretKey } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { digestClientSecret, verifyClientSecret } from '../../src/clients/client_secret.ts'
import { createMasterSecret, parseMasterSecrets } from '../../src/keys/master_secret.ts'
import { createTestRandom, createTestSecrets } from '../_server.ts'

const text = Buffer.alloc(32, 9).toString('base64url')
const other = Buffer.alloc(32, 10).toString('base64url')

test('a new master secret is 43 base64url characters of 32 random bytes, and is taken', t => {
  const secret = createMasterSecret(createTestRandom())
  t.regex(secret, /^[\w-]{43}$/)
  t.is(parseMasterSecrets(secret)?.length, 1)
})

test('at least 32 bytes are asked for', t => {
  t.is(parseMasterSecrets(Buffer.alloc(31, 9).toString('base64url')), undefined)
  t.is(parseMasterSecrets(Buffer.alloc(32, 9).toString('base64url'))?.length, 1)
  t.is(parseMasterSecrets(Buffer.alloc(64, 9).toString('base64url'))?.length, 1)
})

test('empty and malformed texts are refused', t => {
  const bad = ['', ' ', ',', `${text},`, `,${text}`, `${text},,${other}`, `${text} ${other}`, `${text}!`, `"${text}"`]
  for (const one of [...bad, `${text},short`, `short,${text}`, 'a'.repeat(42), `${text}====`, 'ü'.repeat(60)]) {
    t.is(parseMasterSecrets(one), undefined, one)
  }
  t.is(parseMasterSecrets(`${text},${other}`)?.length, 2)
})

test('plain base64 with padding, as openssl prints it, and white space around are the same secret', t => {
  const bytes = Buffer.alloc(32, 0xfb)
  const names = [bytes.toString('base64url'), bytes.toString('base64'), ` ${bytes.toString('base64')}\n`].map(
    one => parseMasterSecrets(one)?.[0].name,
  )
  t.is(names[0]?.length, 8)
  t.is(new Set(names).size, 1)
})

test('several secrets are newest first, with white space or without', t => {
  const [first, second] = [parseMasterSecrets(text)![0].name, parseMasterSecrets(other)![0].name]
  for (const list of [`${text},${other}`, `${text}, ${other}\n`]) {
    t.deepEqual(
      parseMasterSecrets(list)?.map(({ name }) => name),
      [first, second],
    )
  }
  t.not(first, second)
})

test('each purpose has a key of its own, none of them the secret', t => {
  const [secret] = parseMasterSecrets(text)!
  const keys = [
    secret.refreshTokenKey,
    secret.clientSecretKey,
    secret.signingKeyKey,
    createSecretKey(text, 'base64url'),
  ]
  t.is(new Set(keys.map(key => key.export().toString('hex'))).size, 4)
  t.is(secret.name, secret.id.toString('hex'))
  t.false(Buffer.from(text, 'base64url').includes(secret.id))
})

test('property: a client secret verifies against its digest and against no other', t => {
  const secrets = createTestSecrets()
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (one, another) => {
      const digest = digestClientSecret(one, secrets[0])
      return (
        verifyClientSecret(one, [digest], secrets) &&
        verifyClientSecret(another, [digest], secrets) === (one === another)
      )
    }),
  )
  t.pass()
})

test('a digest is the name of the master secret and 43 characters, and holds nothing of the client secret', t => {
  const secrets = createTestSecrets()
  const digest = digestClientSecret('lks_a-client-secret', secrets[0])
  t.regex(digest, /^[0-9a-f]{8}\.[\w-]{43}$/)
  t.true(digest.startsWith(`${secrets[0].name}.`))
  t.not(digest, 'lks_a-client-secret')
  t.false(digest.includes('client'))
})

test('digests are of one master secret: another one makes another', t => {
  t.not(
    digestClientSecret('secret', createTestSecrets('a')[0]),
    digestClientSecret('secret', createTestSecrets('b')[0]),
  )
})

test('rotating the master secret keeps client secrets, as long as the older one is in the list', t => {
  const digest = digestClientSecret('secret', createTestSecrets('old')[0])
  t.true(verifyClientSecret('secret', [digest], createTestSecrets('new', 'old')))
  t.true(verifyClientSecret('secret', [digest], createTestSecrets('newest', 'new', 'old')))
  t.false(verifyClientSecret('secret', [digest], createTestSecrets('new')))
  t.false(verifyClientSecret('wrong', [digest], createTestSecrets('new', 'old')))
})

test('no digest, as of an unknown client, verifies nothing, the empty secret included', t => {
  const secrets = createTestSecrets()
  for (const digest of ['', '.', secrets[0].name, `${secrets[0].name}.`]) {
    for (const secret of ['', 'secret', digest]) t.false(verifyClientSecret(secret, [digest], secrets))
    for (const secret of ['', 'secret']) t.false(verifyClientSecret(secret, [], secrets))
  }
  t.true(verifyClientSecret('', [digestClientSecret('', secrets[0])], secrets))
})

test('the stored digest is not a secret that is taken', t => {
  const secrets = createTestSecrets()
  const digest = digestClientSecret('secret', secrets[0])
  t.false(verifyClientSecret(digest, [digest], secrets))
  t.true(verifyClientSecret('secret', [digest], secrets))
})
