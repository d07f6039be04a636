/** Resource indicators: what an access token is for. RFC 8707; its `aud`: RFC 9068 §2.2, RFC 7519 §4.1.3. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import {
  type Answer,
  issuer,
  password,
  refusal,
  refused,
  type ServerOptions,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'

const api = 'https://api.example.com'
const files = 'https://files.example.com/v1/'
const batch = 'urn:example:batch'
const invalidTarget = refused(400, 'invalid_target')

/**
 * Beside `app`, which has the server's audience: `phone`, which has one of its own, for the grants of a user, and `worker`
 * with the same for its own. `bare` and the fragment may be audiences, but are no resource that a request may name.
 */
const audience = [api, files, batch, 'bare', `${api}/#part`]

async function startServerWithAudiences(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  await server.addClient({ id: 'phone', audience })
  await server.addClient({ id: 'worker', secret: 'lks_worker', grantTypes: ['client_credentials'], audience })
  return server
}

type Form = Record<string, string>
const signInForm: Form = { grant_type: 'password', client_id: 'phone', username: 'alice', password }
const workerForm: Form = { grant_type: 'client_credentials', client_id: 'worker', client_secret: 'lks_worker' }
const refreshForm = (refresh_token: string): Form => ({
  grant_type: 'refresh_token',
  client_id: 'phone',
  refresh_token,
})

/** POSTs a token request with any number of `resource` parameters. */
function request(server: TestServer, form: Form, ...resources: string[]): Promise<Answer> {
  const body = new URLSearchParams([
    ...Object.entries(form),
    ...resources.map((uri): [string, string] => ['resource', uri]),
  ])
  return server.request('/token', { method: 'POST', body })
}

const audOf = ({ body }: Pick<Answer, 'body'>) => decodeJwt(body.access_token).aud

async function stateOf({ deps: { storage } }: TestServer) {
  return [await storage.listLiveSessions({}, startTime, 100), await storage.listAuditEvents(100)]
}

/** The three grants: how to make a request for `phone` or `worker`, both with the same audience. */
const grants: [name: string, prepare: (server: TestServer) => Promise<Form>][] = [
  ['password', async () => signInForm],
  ['client_credentials', async () => workerForm],
  ['refresh_token', async server => refreshForm((await request(server, signInForm)).body.refresh_token)],
]

const granted: [rule: string, resources: string[], aud: string | string[]][] = [
  ['no resource is the whole audience of the client', [], audience],
  ['an empty resource is none (RFC 6749 §3.2)', [''], audience],
  ['one is a string', [api], api],
  ['one with a path and a final slash', [files], files],
  ['a URN is an absolute URI', [batch], batch],
  ['several are a list', [api, batch], [api, batch]],
  ['several are in the order asked for', [files, api], [files, api]],
  ['an empty one beside another is none', ['', api, ''], api],
]

const targets: [rule: string, resources: string[]][] = [
  ['one that the client does not have', ['https://other.example.com']],
  ['one more that the client does not have', [api, 'https://other.example.com']],
  ["the server's audience, for a client with one of its own", [issuer]],
  ['a path below', [`${api}/v1`]],
  ['a host below', [`${api}.evil.example`]],
  ['part of one', [api.slice(0, -1)]],
  ['one with a final slash', [`${api}/`]],
  ['another spelling', [api.replace('https', 'HTTPS')]],
  ['one with a query', [`${api}?x=1`]],
  ['one with a fragment, though the audience has it', [`${api}/#part`]],
  ['one with an empty fragment', [`${api}#`]],
  ['one that is relative, though the audience has it', ['bare']],
  ['one that is a path', ['/v1']],
  ['one that is malformed', ['https://']],
  ['one with a space', [`${api} `]],
  ['two in one parameter', [`${api} ${files}`]],
  ['the same one twice', [api, api]],
  ['the same one twice among others', [api, files, api]],
]

for (const [grant, prepare] of grants) {
  for (const [rule, resources, aud] of granted) {
    test(`${grant}: ${rule} (RFC 8707 §2)`, async t => {
      const server = await startServerWithAudiences(t)

      const answer = await request(server, await prepare(server), ...resources)

      t.is(answer.status, 200)
      t.deepEqual(audOf(answer), aud)
    })
  }

  for (const [rule, resources] of targets) {
    test(`${grant}: ${rule} is invalid_target, and nothing is used up (RFC 8707 §2)`, async t => {
      const server = await startServerWithAudiences(t)
      const form = await prepare(server)
      const before = await stateOf(server)

      const answer = await request(server, form, ...resources)

      t.deepEqual(refusal(answer), invalidTarget)
      t.deepEqual(await stateOf(server), before)
      const twin = await request(server, form, api)
      t.deepEqual([twin.status, audOf(twin)], [200, api])
    })
  }
}

test("without an audience of its own a client has the server's", async t => {
  const server = await startServerWithAudiences(t, { oauth: { audience: [api, issuer] } })
  await server.addClient({ id: 'job', secret: 'lks_job', grantTypes: ['client_credentials'] })
  const signIn = { ...signInForm, client_id: 'app' }
  const job = { grant_type: 'client_credentials', client_id: 'job', client_secret: 'lks_job' }

  for (const form of [signIn, job]) {
    t.deepEqual(audOf(await request(server, form)), [api, issuer])
    t.is(audOf(await request(server, form, issuer)), issuer)
    t.deepEqual(refusal(await request(server, form, files)), invalidTarget)
  }
  t.deepEqual(audOf(await request(server, signInForm)), audience)
})

test('a refresh narrows its access token and never the session (RFC 8707 §2.2)', async t => {
  const server = await startServerWithAudiences(t)
  const first = await request(server, signInForm)

  const second = await request(server, refreshForm(first.body.refresh_token), api)
  const third = await request(server, refreshForm(second.body.refresh_token), files)
  const fourth = await request(server, refreshForm(third.body.refresh_token))

  t.deepEqual([second, third, fourth].map(audOf), [api, files, audience])
})

test('a sign-in narrows the session: no refresh goes beyond it (RFC 8707 §2.2)', async t => {
  const server = await startServerWithAudiences(t)
  const first = await request(server, signInForm, api, files)
  t.deepEqual(audOf(first), [api, files])

  const second = await request(server, refreshForm(first.body.refresh_token))
  t.deepEqual(audOf(second), [api, files])
  const third = await request(server, refreshForm(second.body.refresh_token), files)
  t.is(audOf(third), files)
  const refused = await request(server, refreshForm(third.body.refresh_token), batch)
  t.deepEqual(refusal(refused), invalidTarget)
  t.is((await request(server, refreshForm(third.body.refresh_token), api)).status, 200)
})

test('a retry with a resource that is refused ends nothing, and one that fits gets the same refresh token', async t => {
  const server = await startServerWithAudiences(t)
  const first = (await request(server, signInForm)).body
  const second = (await request(server, refreshForm(first.refresh_token))).body
  const before = await stateOf(server)

  t.deepEqual(refusal(await request(server, refreshForm(first.refresh_token), issuer)), invalidTarget)
  t.deepEqual(await stateOf(server), before)
  const retry = await request(server, refreshForm(first.refresh_token), api)
  t.deepEqual([retry.body.refresh_token, audOf(retry)], [second.refresh_token, api])

  // A late one, too, leaves its successor alone.
  server.clock.advance(3600)
  t.deepEqual(refusal(await request(server, refreshForm(first.refresh_token), issuer)), invalidTarget)
  t.deepEqual(await stateOf(server), before)
  t.is((await request(server, refreshForm(second.refresh_token), api)).status, 200)
})

test('reuse is reuse, whatever resource it names (RFC 9700 §4.14.2)', async t => {
  const server = await startServerWithAudiences(t)
  const first = (await request(server, signInForm)).body
  const second = (await request(server, refreshForm(first.refresh_token))).body
  const third = (await request(server, refreshForm(second.refresh_token))).body

  const reuse = await request(server, refreshForm(first.refresh_token), 'https://other.example.com')

  t.deepEqual(refusal(reuse), refused(400, 'invalid_grant'))
  t.is((await request(server, refreshForm(third.refresh_token), api)).body.error, 'invalid_grant')
})

test('resource and scope narrow each on their own', async t => {
  const server = await startServerWithAudiences(t)

  for (const [, prepare] of grants) {
    const { status, body } = await request(server, { ...(await prepare(server)), scope: 'read' }, files)
    const { aud, scope } = decodeJwt(body.access_token)
    t.deepEqual([status, body.scope, aud, scope], [200, 'read', files, 'read'])
  }
})
