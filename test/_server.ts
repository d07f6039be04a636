/**
 * A whole server for one test: real HTTP on a free port, a database of its own, clock and randomness in hand. Closes itself. Every
 * answer is held to what `/openapi.json` says of it.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import pino from 'pino'
import { createAdminApp, createApp, endpointsOf, type HttpOptions } from '../src/app.ts'
import { auditEvent } from '../src/audit/audit.ts'
import { type Client, createClient, hasSecret } from '../src/clients/client.ts'
import { addSecretDigest, createClientSecret, digestClientSecret } from '../src/clients/client_secret.ts'
import { readConfig } from '../src/config.ts'
import { createDeps } from '../src/deps.ts'
import { adminEndpointsOf } from '../src/http/admin/admin_endpoints.ts'
import type { Endpoint } from '../src/http/endpoint.ts'
import { openSigningKey } from '../src/keys/jws.ts'
import { type MasterSecrets, parseMasterSecrets } from '../src/keys/master_secret.ts'
import { createSigningKey, type SigningAlg, type SigningKey } from '../src/keys/signing_key.ts'
import { type MailPurpose, notices } from '../src/mail/mail.ts'
import { createMailing, createNotifying } from '../src/mailing.ts'
import { createMeasuring } from '../src/metrics/measuring.ts'
import { createMetrics } from '../src/metrics/metrics.ts'
import type { OAuthConfig } from '../src/oauth/deps.ts'
import type { Brand } from '../src/pages/brand.ts'
import type { Language } from '../src/pages/language.ts'
import type { Storage } from '../src/storage/storage.ts'
import type { ThrottleSettings } from '../src/throttle/settings.ts'
import { createThrottle } from '../src/throttle/throttle.ts'
import type { Tracing } from '../src/tracing.ts'
import { relyingPartyOf } from '../src/users/factors/relying_party.ts'
import { createPasswords, type PasswordHashing, type Passwords } from '../src/users/password.ts'
import { createUserId } from '../src/users/user.ts'
import { createDeliveries } from '../src/webhooks/deliveries.ts'
import { createSend } from '../src/webhooks/send.ts'
import { createAnswerCheck } from './_api.ts'
import type { TestSmtp } from './_smtp.ts'
import { openTestStorage } from './_storages.ts'

export const issuer = 'https://auth.example.com'
/** Seconds. */
export const keyRotation = 90 * 86_400
export const startTime = 1_800_000_000
/** The cheapest that argon2 takes. */
export const cheapHashing: PasswordHashing = { memory: 8, passes: 2, lanes: 1, concurrency: 2, queue: 64 }
export const password = 'correct horse battery staple'

export const oauthConfig: OAuthConfig = {
  issuer,
  audience: [issuer],
  accessTokenLifetime: 900,
  sessionLimit: 100,
  minSolePassword: 15,
  signInBy: 'username',
  requireFactor: 'enrolled',
  serviceNames: ['auth.example.com'],
  relyingParty: relyingPartyOf(issuer),
  hasMail: false,
  mailLanguage: 'en',
  signUp: false,
  refresh: { idleLifetime: 30 * 86_400, absoluteLifetime: 365 * 86_400, retryWindow: 60, lateRetryWindow: 30 * 86_400 },
}

export type Answer = {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any
}

/** What of a test a server needs. */
export type TestContext = Pick<ExecutionContext, 'title' | 'teardown'>

export type TestServer = Awaited<ReturnType<typeof startServer>>

export type ServerOptions = Partial<{
  oauth: Partial<OAuthConfig>
  http: Partial<HttpOptions>
  endpoints: typeof endpointsOf
  brand: Brand
  storage: Storage
  passwords: Passwords
  secrets: MasterSecrets
  signingAlg: SigningAlg
  throttle: Partial<ThrottleSettings>
  clock: Clock
  /** Another node of the same deployment, which has made the signing key; `storage` is one more on the same database. */
  beside: { signingKey: SigningKey }
  privateJwksUris: boolean
  privateWebhooks: boolean
  /** What owners of accounts are told; all unless told otherwise. */
  notices: readonly MailPurpose[]
  /** Where mails are handed to; without it none are sent. */
  smtp: Pick<TestSmtp, 'port'>
  /** Makes spans, as where an SDK is loaded. */
  tracing: Tracing
  /** Receives every log line, at level trace. */
  onLog: (line: string) => void
}>

/** Bytes that differ at every call and are the same in every run. */
export function createTestRandom(seed = 'test'): (size: number) => Buffer {
  let calls = 0
  return size => {
    const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
      createHash('sha256').update(`${seed} ${calls} ${i}`).digest(),
    )
    calls++
    return Buffer.concat(blocks).subarray(0, size)
  }
}

export function createTestSecrets(...seeds: string[]): MasterSecrets {
  const texts = (seeds.length === 0 ? ['secret'] : seeds).map(seed => createTestRandom(seed)(32).toString('base64url'))
  return parseMasterSecrets(texts.join(','))!
}

/** Seconds since the epoch that only move when told to. */
export function createClock(start = startTime) {
  let time = start
  return {
    now: () => time,
    advance(seconds: number) {
      time += seconds
    },
  }
}

export type Clock = ReturnType<typeof createClock>

export async function startServer(t: TestContext, options: ServerOptions = {}) {
  const clock = options.clock ?? createClock()
  const randomBytes = createTestRandom(options.beside === undefined ? t.title : `${t.title} beside`)
  const secrets = options.secrets ?? createTestSecrets()
  const storage = options.storage ?? (await openTestStorage(t))
  const signingAlg = options.signingAlg ?? 'ES256'
  const key = options.beside?.signingKey ?? (await createSigningKey(signingAlg, secrets, clock.now(), clock.now()))
  if (options.beside === undefined)
    await storage.addSigningKey(key, undefined, auditEvent('key.created', clock.now(), {}))
  const { throttle } = readConfig({ LATCHKEY_SIGN_IN_BY: options.oauth?.signInBy })
  const throttleSettings = { ...throttle, ...options.throttle }
  const passwords = options.passwords ?? (await createPasswords(cheapHashing, randomBytes))
  const metrics = createMetrics(false)
  const deps = createDeps({
    config: {
      ...oauthConfig,
      hasMail: options.smtp !== undefined,
      relyingParty: relyingPartyOf(options.oauth?.issuer ?? issuer),
      ...options.oauth,
    },
    storage: options.tracing?.storage(storage) ?? storage,
    secrets: () => secrets,
    keys: [(await openSigningKey(key, secrets))!],
    passwords: options.tracing?.passwords(passwords) ?? passwords,
    throttle: await createThrottle(throttleSettings, { storage, secrets, now: clock.now, randomBytes }),
    privateJwksUris: options.privateJwksUris ?? true,
    ...(options.brand && { brand: options.brand }),
    now: clock.now,
    randomBytes,
    observer: metrics.observer,
    metrics: metrics.text,
  })
  const measuring = createMeasuring(storage, { now: clock.now, hasMail: deps.config.hasMail })
  const onLog = options.onLog ?? (() => {})
  const log = pino({ level: 'trace' }, { write: onLog })
  const send = createSend(options.privateWebhooks ?? true)
  const deliveries = createDeliveries(deps, send, (about, message) => log.warn(about, message))
  const mails = options.smtp && (await startMails(t, deps, options.smtp, (about, message) => log.warn(about, message)))
  const warn = (about: object, message: string) => log.warn(about, message)
  const notifying = options.smtp && (await createNotifying(deps, options.notices ?? notices, warn))
  metrics.watch({ ...deps, keyRotation, known: measuring.known, deliveries: deliveries.state })
  const trace = options.tracing?.middleware
  const http: HttpOptions = { log, trace, corsOrigins: [], trustProxy: undefined, docs: true, ...options.http }
  const endpoints = (options.endpoints ?? endpointsOf)(deps, http.docs)
  const { url, request } = await listen(t, createApp(deps, http, endpoints), endpoints)

  /** The listener of operators, which is there from its first use on. @returns its URL and its own `request` */
  let startedAdmin: ReturnType<typeof listen> | undefined
  function startAdmin() {
    const adminEndpoints = adminEndpointsOf(deps, {
      privateJwksUris: options.privateJwksUris ?? true,
      privateWebhooks: options.privateWebhooks ?? true,
      signingAlg,
    })
    startedAdmin ??= listen(t, createAdminApp(deps, http, adminEndpoints), adminEndpoints)
    return startedAdmin
  }

  const post = (path: string, params: Record<string, string>, headers: Record<string, string> = {}) =>
    request(path, { method: 'POST', body: new URLSearchParams(params), headers })
  const bearer = (accessToken: string) => ({ authorization: `Bearer ${accessToken}` })

  return {
    url,
    deps,
    /** A step of what is measured in the background. */
    measure: measuring.step,
    deliveries,
    /** Sends to webhooks what there is to send now. */
    async deliver() {
      await deliveries.step()
      await deliveries.settled()
    },
    mails,
    /** Writes the notices of what has happened since this was called last; the first call only begins. */
    tellOwners: () => notifying?.step(),
    /** Sends the mails that are to be sent now. */
    async sendMails() {
      await mails?.step()
      await mails?.settled()
    },
    clock,
    signingKey: key,
    request,
    startAdmin,
    /** POSTs a form. */
    post,
    bearer,
    /** POSTs a form to /token. */
    token: (params: Record<string, string>, headers?: Record<string, string>) => post('/token', params, headers),
    /** Signs in and insists on success. */
    async signIn(
      params: Record<string, string> = {},
    ): Promise<{ access_token: string; refresh_token: string; expires_in: number; scope: string }> {
      const answer = await post('/token', {
        grant_type: 'password',
        client_id: 'app',
        username: 'alice',
        password,
        ...params,
      })
      if (answer.status !== 200) throw new Error(`sign-in failed: ${JSON.stringify(answer.body)}`)
      return answer.body
    },
    refresh: (refreshToken: string, params: Record<string, string> = {}) =>
      post('/token', { grant_type: 'refresh_token', client_id: 'app', refresh_token: refreshToken, ...params }),
    me: (accessToken: string) => request('/users/me', { headers: bearer(accessToken) }),
    /** Creates a user, `alice` with {@link password} unless told otherwise. @returns the user's id */
    async addUser({
      username = 'alice',
      passwordHash,
      ...rest
    }: {
      username?: string
      passwordHash?: string
      email?: string
      emailVerifiedAt?: number
      language?: Language
      fullName?: string
      roles?: readonly string[]
      disabledAt?: number
    } = {}) {
      const user = {
        ...rest,
        id: createUserId(randomBytes),
        username,
        passwordHash: passwordHash ?? (await deps.passwords.hash(password)),
        credentialVersion: 1,
        createdAt: clock.now(),
      }
      await storage.createUsers([user], auditEvent('user.created', clock.now(), {}))
      return user.id
    },
    /**
     * Creates a client, public `app` with both user grants unless told otherwise; without `isPublic` one that may send a
     * secret in both ways.
     *
     * @returns its secret, if it has one
     */
    async addClient({
      secret,
      isPublic = secret === undefined,
      ...given
    }: Partial<Client> & { secret?: string; isPublic?: boolean } = {}) {
      const draft = createClient({
        id: 'app',
        grantTypes: ['password', 'refresh_token'],
        scope: 'read write',
        createdAt: clock.now(),
        authenticationMethods: isPublic ? ['none'] : ['client_secret_basic', 'client_secret_post'],
        ...given,
      })
      const clientSecret = hasSecret(draft) ? (secret ?? createClientSecret(randomBytes)) : ''
      const client = hasSecret(draft) ? addSecretDigest(draft, digestClientSecret(clientSecret, secrets[0])) : draft
      await storage.createClient(client, auditEvent('client.created', clock.now(), {}))
      return clientSecret
    },
  }
}

async function startMails(
  t: TestContext,
  deps: Parameters<typeof createMailing>[0],
  { port }: Pick<TestSmtp, 'port'>,
  warn: (about: object, message: string) => void,
) {
  const smtp = { host: '127.0.0.1', port, tls: 'optional' } as const
  const mails = await createMailing(deps, { smtp, from: { address: 'accounts@example.com' } }, warn)
  t.teardown(() => mails.stop())
  return mails
}

/** Serves an app on a free port until the test ends. @returns what asks it, and holds each answer to the records of its endpoints */
async function listen(t: TestContext, app: ReturnType<typeof createApp>, endpoints: readonly Endpoint[]) {
  const server = createServer(app.callback())
  // On a busy machine a connection could else be closed at the moment that a test uses it again.
  server.keepAliveTimeout = 120_000
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  const checkAnswer = createAnswerCheck(endpoints)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function request(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(url + path, { redirect: 'manual', ...init })
    const text = await response.text()
    checkAnswer({ method: init.method ?? 'GET', path, status: response.status, headers: response.headers, text })
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, headers: response.headers, body: isJson && text !== '' ? JSON.parse(text) : text }
  }
  return { url, request }
}

/** A server with the public client `app` and the user `alice`, whose password is {@link password}. */
export async function startServerWithAlice(t: TestContext, options?: ServerOptions) {
  const server = await startServer(t, options)
  await server.addClient()
  const aliceId = await server.addUser({ email: 'alice@example.com', fullName: 'Alice' })
  return { ...server, aliceId }
}

/** What of an answer says how it was refused; compare with {@link refused}. */
export function refusal({ status, headers, body }: Answer) {
  return { status, error: body.error, members: Object.keys(body).join(), cacheControl: headers.get('cache-control') }
}

/** The refusal of RFC 6749 §5.2: a code, a description, nothing else, and nothing that a cache may keep. */
export function refused(status: number, error: string) {
  return { status, error, members: 'error,error_description', cacheControl: 'no-store' }
}
