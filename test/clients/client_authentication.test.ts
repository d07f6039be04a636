/** How a client identifies itself at the token endpoint. RFC 6749 §2.3, Appendix B; RFC 7617. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { auditEvent } from '../../src/audit/audit.ts'
import { type ClientAuthenticationMethod, clientUpdate, createClient } from '../../src/clients/client.ts'
import { addSecretDigest, digestClientSecret } from '../../src/clients/client_secret.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { assertRefused, createClientKey, signAssertion, startWatchedServer, withAssertion } from '../_client_keys.ts'
import {
  createTestSecrets,
  password,
  refusal,
  refused,
  startServer,
  startServerWithAlice,
  startTime,
} from '../_server.ts'

const hostileSecret = 'a%b+c:d é"&='
const signIn = { grant_type: 'password', username: 'alice', password }
const challenge = 'Basic realm="latchkey", charset="UTF-8"'

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** As RFC 6749 §2.3.1 says: both parts form-encoded, then Basic. */
function encodedBasic(id: string, secret: string) {
  return { authorization: `Basic ${base64(`${formEncode(id)}:${formEncode(secret)}`)}` }
}

/** As `curl -u` does it: nothing encoded. */
function plainBasic(id: string, secret: string) {
  return { authorization: `Basic ${base64(`${id}:${secret}`)}` }
}

function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

async function startServerWithClients(t: ExecutionContext, secret = 'lks_secret') {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'web', secret })
  return server
}

const setDisabled = (storage: Storage, id: string, disabled: boolean) =>
  storage.changeClient(
    id,
    clientUpdate(
      client => ({ ...client, disabledAt: disabled ? startTime : undefined }),
      auditEvent(disabled ? 'client.disabled' : 'client.enabled', startTime, {}),
    ),
  )

test('a public client is known by client_id (RFC 6749 §3.2.1)', async t => {
  const server = await startServerWithClients(t)

  t.is((await server.token({ ...signIn, client_id: 'app' })).status, 200)
  t.is((await server.token({ ...signIn, client_id: 'app', client_secret: '' })).status, 200)
  const unknown = await server.token({ ...signIn, client_id: 'apps' })
  t.deepEqual(refusal(unknown), refused(400, 'invalid_client'))
})

test('a public client may use Basic with an empty secret', async t => {
  const server = await startServerWithClients(t)

  t.is((await server.token(signIn, plainBasic('app', ''))).status, 200)
  t.is((await server.token({ ...signIn, client_id: 'app' }, plainBasic('app', ''))).status, 200)
  t.deepEqual(refusal(await server.token(signIn, plainBasic('app', 'x'))), refused(401, 'invalid_client'))
})

test('client_secret_basic: both parts are form-encoded (RFC 6749 §2.3.1, Appendix B)', async t => {
  const server = await startServerWithClients(t, hostileSecret)

  t.is((await server.token(signIn, encodedBasic('web', hostileSecret))).status, 200)
  t.deepEqual(
    refusal(await server.token(signIn, encodedBasic('web', `${hostileSecret}=`))),
    refused(401, 'invalid_client'),
  )
})

test('client_secret_basic: what does not match decoded is tried as sent (curl -u)', async t => {
  const server = await startServerWithClients(t, hostileSecret)

  t.is((await server.token(signIn, plainBasic('web', hostileSecret))).status, 200)
  t.deepEqual(
    refusal(await server.token(signIn, plainBasic('web', hostileSecret.slice(1)))),
    refused(401, 'invalid_client'),
  )
})

test('client_secret_basic: a secret that is valid percent-encoding works encoded and as sent', async t => {
  const server = await startServerWithClients(t, 'a%41+b')

  t.is((await server.token(signIn, encodedBasic('web', 'a%41+b'))).status, 200)
  t.is((await server.token(signIn, plainBasic('web', 'a%41+b'))).status, 200)
  t.is((await server.token(signIn, plainBasic('web', 'aA b'))).status, 401)
})

test('client_secret_post: id and secret in the form (RFC 6749 §2.3.1)', async t => {
  const server = await startServerWithClients(t, hostileSecret)
  const post = (client_secret: string) => server.token({ ...signIn, client_id: 'web', client_secret })

  t.is((await post(hostileSecret)).status, 200)
  t.deepEqual(refusal(await post(hostileSecret.replace('+', ' '))), refused(400, 'invalid_client'))
})

test('any secret survives Basic encoded as Appendix B says, and the form', async t => {
  const server = await startServerWithClients(t)
  const { deps } = server
  const event = auditEvent('client.secret_rotated', startTime, {})
  // A refresh token of nobody: the client is authenticated before it is looked at, and no password is hashed.
  const refresh = { grant_type: 'refresh_token', refresh_token: 'x' }
  const property = fc.asyncProperty(
    fc.string({ unit: 'binary', minLength: 1 }).filter(secret => !secret.includes('\0')),
    async secret => {
      const secretDigests = [digestClientSecret(secret, deps.secrets[0])]
      await deps.storage.changeClient(
        'web',
        clientUpdate(client => ({ ...client, secretDigests }), event),
      )
      const basic = await server.token(refresh, encodedBasic('web', secret))
      const form = await server.token({ ...refresh, client_id: 'web', client_secret: secret })
      t.is(basic.body.error, 'invalid_grant')
      t.is(form.body.error, 'invalid_grant')
      t.is((await server.token(refresh, encodedBasic('web', `${secret}x`))).body.error, 'invalid_client')
      // Until that failure is forgotten.
      server.clock.advance(600)
    },
  )
  await fc.assert(property, { examples: [[hostileSecret], ['\ufffd'], ['%00'], ['\u{1f511}:'], [' ']] })
})

test('two methods at once are invalid_request (RFC 6749 §2.3)', async t => {
  const server = await startServerWithClients(t)
  const headers = plainBasic('web', 'lks_secret')

  const both = await server.token({ ...signIn, client_id: 'web', client_secret: 'lks_secret' }, headers)

  t.deepEqual(refusal(both), refused(400, 'invalid_request'))
  t.is((await server.token({ ...signIn, client_id: 'web' }, headers)).status, 200)
})

test('client_id in the body must be the client that authenticated', async t => {
  const server = await startServerWithClients(t)
  const headers = plainBasic('web', 'lks_secret')

  t.deepEqual(refusal(await server.token({ ...signIn, client_id: 'app' }, headers)), refused(400, 'invalid_request'))
  t.is((await server.token({ ...signIn, client_id: 'web' }, headers)).status, 200)
})

test('a wrong secret, an unknown and a disabled client get the same 401 with a challenge, or 400 without one where no Authorization header came (RFC 6749 §5.2)', async t => {
  const server = await startServerWithClients(t)
  await server.addClient({ id: 'gone', secret: 'lks_secret' })
  const { storage } = server.deps
  t.is((await server.token(signIn, plainBasic('gone', 'lks_secret'))).status, 200)
  await setDisabled(storage, 'gone', true)

  const byHeader = await Promise.all([
    server.token(signIn, plainBasic('web', 'lks_secrets')),
    server.token(signIn, plainBasic('nobody', 'lks_secret')),
    server.token(signIn, plainBasic('gone', 'lks_secret')),
    server.token(signIn, plainBasic('web', '')),
  ])
  const byForm = await Promise.all([
    server.token({ ...signIn, client_id: 'web', client_secret: 'lks_secrets' }),
    server.token({ ...signIn, client_id: 'nobody', client_secret: 'lks_secret' }),
    server.token({ ...signIn, client_id: 'gone', client_secret: 'lks_secret' }),
    server.token({ ...signIn, client_id: 'web' }),
    server.token({ ...signIn, client_id: 'app', client_secret: 'x' }),
    server.token({ ...signIn, client_id: '__proto__' }),
  ])

  for (const answer of [...byHeader, ...byForm]) {
    const { status, headers, body } = answer
    t.deepEqual(
      { status, challenge: headers.get('www-authenticate'), cacheControl: headers.get('cache-control'), body },
      {
        status: byHeader.includes(answer) ? 401 : 400,
        challenge: byHeader.includes(answer) ? challenge : null,
        cacheControl: 'no-store',
        body: { error: 'invalid_client', error_description: 'client authentication failed' },
      },
    )
  }
  t.is((await server.token(signIn, plainBasic('web', 'lks_secret'))).status, 200)
})

test('a disabled public client is refused until it is enabled again', async t => {
  const server = await startServerWithAlice(t)
  const { storage } = server.deps
  const { refresh_token } = await server.signIn()

  await setDisabled(storage, 'app', true)
  t.deepEqual(refusal(await server.refresh(refresh_token)), refused(400, 'invalid_client'))
  await setDisabled(storage, 'app', false)
  t.is((await server.refresh(refresh_token)).status, 200)
})

test('a request without any client is invalid_client (RFC 6749 §5.2)', async t => {
  const server = await startServerWithClients(t)

  const answers = [await server.token(signIn), await server.token({ ...signIn, client_secret: 'lks_secret' })]

  for (const answer of answers) {
    t.deepEqual(refusal(answer), refused(400, 'invalid_client'))
    t.is(answer.headers.get('www-authenticate'), null)
  }
})

for (const [rule, authorization] of [
  ['without a colon', `Basic ${base64('web')}`],
  ['without an id', `Basic ${base64(':lks_secret')}`],
  ['that is no base64', 'Basic web:lks_secret'],
  ['with a NUL', `Basic ${base64('web:lks_secret\0')}`],
  ['that is no UTF-8', `Basic ${Buffer.from([0x77, 0x65, 0x62, 0x3a, 0xff]).toString('base64')}`],
  ['without credentials', 'Basic'],
  ['with two credentials', `Basic ${base64('web:lks_secret')} ${base64('web:lks_secret')}`],
  ['of an unknown scheme', `Basics ${base64('web:lks_secret')}`],
  ['that is empty', ' '],
] as const) {
  test(`an Authorization header ${rule} is invalid_client`, async t => {
    const server = await startServerWithClients(t)

    const answer = await server.token({ ...signIn, client_id: 'app' }, { authorization })

    t.deepEqual(refusal(answer), refused(401, 'invalid_client'))
    t.is(answer.headers.get('www-authenticate'), challenge)
    t.is((await server.token(signIn, plainBasic('web', 'lks_secret'))).status, 200)
  })
}

for (const path of ['/token', '/revoke']) {
  test(`an access token at ${path} is invalid_request in words, and no browser opens a dialog (RFC 6749 §5.2)`, async t => {
    const server = await startServerWithClients(t)
    const { access_token, refresh_token } = await server.signIn()
    const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token, token: 'x' }

    for (const authorization of [`Bearer ${access_token}`, 'bearer x', 'Bearer']) {
      const answer = await server.post(path, form, { authorization })
      t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
      t.regex(answer.body.error_description, /access token/)
      t.is(answer.headers.get('www-authenticate'), null)
    }
    t.is((await server.post(path, form)).status, 200)
  })
}

test('the scheme is compared without case, and base64 is taken with and without padding (RFC 9110 §11.1)', async t => {
  const server = await startServerWithClients(t)

  for (const authorization of [
    `basic ${base64('web:lks_secret')}`,
    `BASIC   ${base64('web:lks_secret')} `,
    `Basic ${base64('web:lks_secret').replace(/=+$/, '')}`,
  ]) {
    t.is((await server.token(signIn, { authorization })).status, 200, authorization)
  }
})

test('a client secret made under an older master secret still works, one made under a lost one does not', async t => {
  const secrets = createTestSecrets('new', 'old')
  const server = await startServer(t, { secrets })
  await server.addUser()
  const addClient = (id: string, masterSecret: (typeof secrets)[number]) =>
    server.deps.storage.createClient(
      createClient({
        id,
        authenticationMethods: ['client_secret_basic'],
        secretDigests: [digestClientSecret('lks_secret', masterSecret)],
        grantTypes: ['password'],
        scope: 'read',
        createdAt: startTime,
      }),
      auditEvent('client.created', startTime, {}),
    )
  await addClient('older', secrets[1]!)
  await addClient('lost', createTestSecrets('lost')[0])

  t.is((await server.token(signIn, plainBasic('older', 'lks_secret'))).status, 200)
  t.is((await server.token(signIn, plainBasic('lost', 'lks_secret'))).status, 401)
})

const registrations: ClientAuthenticationMethod[][] = [
  ['none'],
  ['client_secret_basic'],
  ['client_secret_post'],
  ['private_key_jwt'],
  ['client_secret_basic', 'client_secret_post'],
  ['client_secret_basic', 'private_key_jwt'],
  ['client_secret_post', 'private_key_jwt'],
  ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
]

for (const registered of registrations) {
  test(`a client registered for ${registered.join(', ')} authenticates by nothing else (RFC 7591 §2)`, async t => {
    const key = await createClientKey()
    const server = await startWatchedServer(t)
    await server.addUser()
    // With a secret and a key either way: what counts is what it is registered for.
    await server.deps.storage.createClient(
      createClient({
        id: 'web',
        authenticationMethods: registered,
        secretDigests: [digestClientSecret('lks_secret', server.deps.secrets[0])],
        jwks: { keys: [key.jwk] },
        grantTypes: ['password', 'refresh_token'],
        scope: 'read',
        createdAt: startTime,
      }),
      auditEvent('client.created', startTime, {}),
    )
    const ways: Record<ClientAuthenticationMethod, () => ReturnType<typeof server.token>> = {
      none: () => server.token({ ...signIn, client_id: 'web' }),
      client_secret_basic: () => server.token(signIn, plainBasic('web', 'lks_secret')),
      client_secret_post: () => server.token({ ...signIn, client_id: 'web', client_secret: 'lks_secret' }),
      private_key_jwt: async () => server.token({ ...signIn, ...withAssertion(await signAssertion(key, 'web')) }),
    }

    for (const [used, send] of Object.entries(ways)) {
      if ((registered as string[]).includes(used)) t.is((await send()).status, 200, used)
      else await assertRefused(t, server, send, [used === 'client_secret_basic' ? 401 : 400, 'invalid_client'], used)
    }
  })
}

test('two secrets of a client live at once, by Basic and in the form; a third ends the first', async t => {
  const server = await startWatchedServer(t)
  await server.addUser()
  await server.addClient({ id: 'web', secret: 'lks_one' })
  const { storage, secrets } = server.deps
  const addSecret = (secret: string) =>
    storage.changeClient(
      'web',
      clientUpdate(
        client => addSecretDigest(client, digestClientSecret(secret, secrets[0])),
        auditEvent('client.secret_rotated', startTime, {}),
      ),
    )
  const insist = async (live: string[], dead: string[]) => {
    for (const secret of [...live, ...dead]) {
      for (const [status, send] of [
        [401, () => server.token(signIn, plainBasic('web', secret))],
        [400, () => server.token({ ...signIn, client_id: 'web', client_secret: secret })],
      ] as const) {
        if (live.includes(secret)) t.is((await send()).status, 200, secret)
        else await assertRefused(t, server, send, [status, 'invalid_client'], secret)
      }
    }
  }

  await insist(['lks_one'], ['lks_two', 'lks_three'])
  await addSecret('lks_two')
  await insist(['lks_one', 'lks_two'], ['lks_three'])
  await addSecret('lks_three')
  await insist(['lks_two', 'lks_three'], ['lks_one'])
})

test('of two secrets neither works in part, nor do both together', async t => {
  const server = await startWatchedServer(t)
  await server.addUser()
  await server.addClient({ id: 'web', secret: 'lks_one' })
  const { storage, secrets } = server.deps
  await storage.changeClient(
    'web',
    clientUpdate(
      client => addSecretDigest(client, digestClientSecret('lks_two', secrets[0])),
      auditEvent('client.secret_rotated', startTime, {}),
    ),
  )

  for (const secret of ['lks_one lks_two', 'lks_onelks_two', 'lks_', 'lks_on', '']) {
    await assertRefused(
      t,
      server,
      () => server.token(signIn, plainBasic('web', secret)),
      [401, 'invalid_client'],
      secret,
    )
  }
  t.is((await server.token(signIn, plainBasic('web', 'lks_one'))).status, 200)
  t.is((await server.token(signIn, plainBasic('web', 'lks_two'))).status, 200)
})

test('a client whose secrets are all gone authenticates by no secret, not by an empty one either', async t => {
  const server = await startWatchedServer(t)
  await server.addUser()
  await server.addClient({ id: 'web', secret: 'lks_one' })
  t.is((await server.token(signIn, plainBasic('web', 'lks_one'))).status, 200)
  await server.deps.storage.changeClient(
    'web',
    clientUpdate(client => ({ ...client, secretDigests: [] }), auditEvent('client.updated', startTime, {})),
  )

  for (const secret of ['lks_one', '', 'undefined']) {
    await assertRefused(
      t,
      server,
      () => server.token(signIn, plainBasic('web', secret)),
      [401, 'invalid_client'],
      secret,
    )
  }
})
