/**
 * A client of Latchkey for an app in a browser, in React Native or in Node: it signs in, adds the access token to requests,
 * refreshes it and signs out. It needs `fetch` and nothing else: copy this file.
 *
 * A refresh token stays in the storage until its successor is there, so an answer that got lost is asked for again with the
 * same token. Nothing but `invalid_grant` signs the user out, no failing network and no crash. RFC 6749 §4.3 and §6, RFC 7009.
 *
 * Where the server wants one more proof of who the user is, at a sign-in or because an API does (RFC 9470), it asks the user for it:
 * draft-ietf-oauth-first-party-apps-04.
 */

/** Keeps one string between runs: the platform's key store, or `localStorage`. */
export type TokenStorage = {
  load: () => Promise<string | null | undefined>
  /** Resolves when the new string would survive a crash. Until then the old one must still load. */
  save: (text: string) => Promise<void>
  clear: () => Promise<void>
}

export type ClientOptions = {
  /** The server's public URL, without a slash at its end. */
  issuer: string
  clientId: string
  storage: TokenStorage
  /** The origins that may see the access token besides the issuer, such as `https://api.example.com`. */
  apis: readonly string[]
  /** The session has ended, at the server or in another tab: show the sign-in form. Not called for your own `signOut`. */
  onSignedOut?: () => void
  /**
   * Asks the user for one of the proofs. Answers undefined when the user gives up. Without it nobody is asked: a sign-in that wants one
   * fails, and so does a request to an API that wants one.
   */
  askForProof?: (wanted: ProofRequest) => Promise<Proof | undefined>
  /** A verifier and its challenge (RFC 7636 §4, S256), for platforms without Web Crypto. */
  createPkce?: () => Promise<Pkce>
  /** Runs one task at a time among all who share the storage. Default: Web Locks; without them, one at a time in this client. */
  lock?: Lock
  /** Milliseconds to wait for one answer of the server, 15 000 by default. Keep it below the server's retry window. */
  timeout?: number
  /** The clock and the timer, in milliseconds; for tests. */
  now?: () => number
  wait?: (milliseconds: number) => Promise<void>
}

export type Factor = 'otp' | 'recovery_code' | 'passkey' | 'password'

export type ProofRequest = {
  /** Of which one is to be given. */
  factors: readonly Factor[]
  /** Where a passkey is one of them: for `PublicKeyCredential.parseRequestOptionsFromJSON`, or the platform's own API. */
  passkeyOptions?: unknown
  /** The last one was wrong. */
  wasWrong: boolean
}

/** By its name; a passkey as the JSON text of what the platform answers. */
export type Proof = { [name in Factor]?: string }

export type Pkce = { verifier: string; challenge: string }

export type Lock = <T>(task: () => Promise<T>) => Promise<T>

export type Client = ReturnType<typeof createClient>

/**
 * Why a call has no result. Its `code` is
 * - `unavailable`: no connection, or a server in trouble; the user stays signed in, try again later;
 * - `signed_out`: nobody is signed in; ask for the password;
 * - `cancelled`: the user has given up when asked for one more proof;
 * - `insufficient_authorization`: one more proof is wanted, and there is no `askForProof`, or the user has to set up a second factor first;
 * - `invalid_session`: the user took too long to give it, or gave too many wrong ones: begin again;
 * - `unmet_authentication_requirements`: an API wants a proof of a kind that the user has not set up;
 * - an error of RFC 6749 §5.2: at `signIn`, `invalid_grant` is a wrong username or password; others are mistakes in the app.
 */
export class ClientError extends Error {
  readonly code: string
  /** Seconds to wait, when the server says so. */
  readonly retryAfter: number
  /** How to go on, where one more proof would do. */
  readonly next: NextProof | undefined

  constructor(
    code: string,
    message: string,
    options: { cause?: unknown; retryAfter?: number; next?: NextProof | undefined } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'ClientError'
    this.code = code
    this.retryAfter = options.retryAfter ?? 0
    this.next = options.next
  }
}

/** What the storage holds, as JSON. `session` is a name of ours, the same until somebody signs in again. */
type Stored = { session: string; refreshToken: string; ending?: true }
type TokenResponse = { access_token: string; refresh_token: string; expires_in: number }
type CodeResponse = { authorization_code: string }
type NextProof = Pick<ProofRequest, 'factors' | 'passkeyOptions'> & { authSession: string }
/** What an API wants of who is signed in: RFC 9470 §3. */
type Requirements = { acr_values?: string; max_age?: string }

/** Seconds before its end, and at most a tenth of its life, that an access token is not used any more. */
const expiryMargin = 30
/** A request without an answer is sent again so many times, after a random part of 1, 2, 4 and 8 seconds. */
const retries = 4
/** Seconds. Who is told by `Retry-After` to wait longer than this is not kept waiting. */
const longestWait = 60

export function createClient(options: ClientOptions) {
  const { issuer, clientId, storage, apis, onSignedOut, askForProof, timeout = 15_000 } = options
  const { createPkce = createPkceByWebCrypto } = options
  const { lock = createLock(`latchkey ${issuer} ${clientId}`), now = Date.now, wait = sleep } = options

  /** The session that this client works for: what another tab starts is another user's, perhaps. */
  let session: string | undefined
  let access: { token: string; usableUntil: number } | undefined
  let refreshing: Promise<string> | undefined
  let raising: Promise<boolean> | undefined

  /** @param refused an access token that an API did not take */
  async function accessToken(refused?: string): Promise<string> {
    if (access !== undefined && access.token !== refused && now() < access.usableUntil) return access.token
    // Many requests, one refresh.
    refreshing ??= refresh().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  async function refresh(wanted: Requirements = {}): Promise<string> {
    for (;;) {
      const token = await retry(() => lock(() => refreshOnce(wanted)))
      if (token !== undefined) return token
    }
  }

  /** @returns undefined when somebody else has changed the storage meanwhile: begin again with what it holds now */
  async function refreshOnce(wanted: Requirements): Promise<string | undefined> {
    const before = await storage.load()
    const stored = parseStored(before)
    const isOurs = stored !== undefined && stored.session === (session ?? stored.session)
    if (!isOurs || stored.ending) throw endSession()

    const sentAt = now()
    const params = { grant_type: 'refresh_token', refresh_token: stored.refreshToken, ...wanted }
    const answer = await post<TokenResponse>('/token', params)
    const isRefused = answer instanceof ClientError
    const successor = isRefused ? undefined : JSON.stringify({ ...stored, refreshToken: answer.refresh_token })
    const after = await storage.load()
    if (after !== before && after !== successor) return undefined
    if (isRefused) {
      if (answer.code !== 'invalid_grant') throw answer
      await storage.clear()
      throw endSession(answer)
    }
    // A successor that cannot be stored is no loss: its parent is still there and will do next time.
    await storage.save(successor!).catch(() => {})
    return use(answer, stored.session, sentAt)
  }

  function use({ access_token, expires_in }: TokenResponse, name: string, sentAt: number): string {
    session = name
    access = {
      token: access_token,
      usableUntil: sentAt + 1000 * (expires_in - Math.min(expiryMargin, expires_in / 10)),
    }
    return access_token
  }

  function endSession(cause?: ClientError): ClientError {
    const isNews = session !== undefined || cause !== undefined
    session = access = undefined
    if (isNews) onSignedOut?.()
    return signedOut(cause)
  }

  /**
   * Asks the user for proofs until the server has enough.
   *
   * @returns what the code that it answers is exchanged with
   * @throws ClientError `cancelled`, or why the server refused
   */
  async function prove(refused: ClientError, { verifier, challenge }: Pkce) {
    let { next } = refused
    let wasWrong = false
    for (;;) {
      if (next === undefined || next.factors.length === 0 || askForProof === undefined) throw refused
      const { authSession, ...wanted } = next
      const proof = await askForProof({ ...wanted, wasWrong })
      if (proof === undefined) throw new ClientError('cancelled', 'the user has given up')
      const params = { auth_session: authSession, ...proof, ...codeRequest(challenge) }
      const answer = await post<CodeResponse>('/authorize-challenge', params)
      if (!(answer instanceof ClientError)) return { code: answer.authorization_code, code_verifier: verifier }
      // After a wrong one the user may try again, with what the last answer brought.
      wasWrong = answer.code === 'invalid_grant'
      if (answer.next === undefined && !wasWrong) throw answer
      next = answer.next ?? next
    }
  }

  /** @returns whether the user has proved what an API wants; the access token says so then */
  async function raise(wanted: Requirements): Promise<boolean> {
    try {
      await refresh(wanted)
    } catch (error) {
      if (!(error instanceof ClientError) || error.next === undefined) throw error
      try {
        await prove(error, await createPkce())
      } catch (cancelled) {
        if (cancelled instanceof ClientError && cancelled.code === 'cancelled') return false
        throw cancelled
      }
      // The session has been raised, so its own refresh token does it. Its code would too; but of a refresh the answer may be lost.
      await refresh()
    }
    return true
  }

  /**
   * Signs in with a password, after whoever was signed in has been signed out. Tried once: the user is there to try again.
   *
   * @param more `device` names this device in the user's list of sessions; `scope` asks for less than the client may have
   * @throws ClientError `invalid_grant` for a wrong username or password, `unavailable`, or a mistake in the app
   */
  async function signIn(
    username: string,
    password: string,
    more: { device?: string; scope?: string } = {},
  ): Promise<void> {
    await begin(() => post<TokenResponse>('/token', { grant_type: 'password', username, password, ...more }))
  }

  /** Signs in with a passkey alone: no name is typed. @param more as for {@link signIn}. @throws ClientError `cancelled` too */
  async function signInWithPasskey(more: { device?: string; scope?: string } = {}): Promise<void> {
    await begin(async pkce =>
      post<TokenResponse>('/authorize-challenge', { ...codeRequest((await pkce()).challenge), ...more }),
    )
  }

  /** @param first the request that begins a sign-in; what else the server wants is asked for */
  async function begin(first: (pkce: () => Promise<Pkce>) => Promise<TokenResponse | ClientError>): Promise<void> {
    if (!(await signOut())) throw unavailable('the last session could not be ended')
    let made: Promise<Pkce> | undefined
    const pkce = () => {
      made ??= createPkce()
      return made
    }
    let sentAt = now()
    let answer = await first(pkce)
    if (answer instanceof ClientError && answer.next !== undefined) {
      const proved = await prove(answer, await pkce())
      sentAt = now()
      answer = await post<TokenResponse>('/token', { grant_type: 'authorization_code', ...proved })
    }
    if (answer instanceof ClientError) throw answer
    const { refresh_token: refreshToken } = answer
    const name = sentAt.toString(36) + Math.random().toString(36)
    try {
      await lock(() => storage.save(JSON.stringify({ session: name, refreshToken } satisfies Stored)))
    } catch (error) {
      // Nobody would ever end a session that is not stored.
      await post('/revoke', { token: refreshToken }).catch(() => {})
      throw error
    }
    use(answer, name, sentAt)
  }

  /**
   * Signs out. Here it holds from the call on, so do not wait to show the sign-in form. At the server it ends the session.
   *
   * @returns false when the server could not be reached: call again later, at the app's next start or when it is online
   */
  async function signOut(): Promise<boolean> {
    const stored = await lock(async () => {
      const stored = parseStored(await storage.load())
      session = access = undefined
      // From here on it is signed out, even if the app is closed now.
      if (stored !== undefined && !stored.ending) await storage.save(JSON.stringify({ ...stored, ending: true }))
      return stored
    })
    if (stored === undefined) return true

    const revoke = () => post('/revoke', { token: stored.refreshToken })
    const answer = await retry(revoke).catch((error: ClientError) => error)
    if (answer instanceof ClientError && answer.code === 'unavailable') return false
    if (answer instanceof ClientError) throw answer
    await lock(async () => {
      const rest = parseStored(await storage.load())
      if (rest?.ending && rest.session === stored.session) await storage.clear()
    })
    return true
  }

  /** @returns whether somebody is signed in here; does not ask the server */
  async function isSignedIn(): Promise<boolean> {
    const stored = parseStored(await storage.load())
    return stored !== undefined && !stored.ending
  }

  /**
   * `fetch` with the access token. On a 401 it refreshes, or asks the user for the proof that an API wants, and sends the request once
   * more, unless its body is a stream, which cannot be sent twice. Who gives up gets the 401.
   *
   * @param url an absolute URL below the issuer or one of `apis`; nobody else is given the token
   * @throws ClientError `signed_out` or `unavailable`, or whatever `fetch` throws
   */
  async function fetchWithToken(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const target = String(url)
    if (![issuer, ...apis].some(origin => target.startsWith(`${origin}/`))) {
      throw new TypeError(`${target} is not below the issuer or one of apis`)
    }
    let beganIn = session
    const send = async (token: string) => {
      beganIn ??= session
      // A request of one user is not sent for the next one.
      if (session !== beganIn) throw signedOut()
      const headers = new Headers(init.headers)
      headers.set('Authorization', `Bearer ${token}`)
      return fetch(target, { ...init, headers })
    }
    const token = await accessToken()
    const response = await send(token)
    if (response.status !== 401 || isStream(init.body)) return response
    const wanted = parseRequirements(response.headers.get('WWW-Authenticate'))
    if (wanted !== undefined) {
      if (askForProof === undefined) return response
      // Many requests, one question.
      raising ??= raise(wanted).finally(() => {
        raising = undefined
      })
      if (!(await raising)) return response
    }
    response.body?.cancel().catch(() => {})
    return send(await accessToken(token))
  }

  /** Sends a form. @returns the answer, or why the server refused; everything else is thrown as `unavailable` */
  async function post<T>(path: string, params: Record<string, string | undefined>): Promise<T | ClientError> {
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), timeout)
    try {
      const response = await fetch(issuer + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: formEncode({ client_id: clientId, ...params }),
        // What holds a password or a refresh token goes nowhere else.
        redirect: 'error',
        signal: abort.signal,
      })
      if (response.status === 429 || response.status >= 500) {
        throw unavailable(`the server answered ${response.status}`, Number(response.headers.get('Retry-After')) || 0)
      }
      const body = (await response.json()) as Record<string, unknown>
      const expected = { '/token': 'access_token', '/authorize-challenge': 'authorization_code' }[path]
      if (response.ok && (expected === undefined || typeof body[expected] === 'string')) return body as T
      // The sign-in page of a hotel's network is no answer of the server.
      if (response.ok || typeof body.error !== 'string') throw unavailable('somebody else has answered')
      return new ClientError(body.error, String(body.error_description ?? body.error), { next: parseNext(body) })
    } catch (error) {
      throw error instanceof ClientError ? error : unavailable('no connection', 0, error)
    } finally {
      clearTimeout(timer)
    }
  }

  async function retry<T>(request: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await request()
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== 'unavailable') throw error
        if (attempt === retries || error.retryAfter > longestWait) throw error
        await wait(1000 * (error.retryAfter + Math.random() * 2 ** attempt))
      }
    }
  }

  return { signIn, signInWithPasskey, signOut, isSignedIn, fetch: fetchWithToken }
}

function signedOut(cause?: ClientError): ClientError {
  return new ClientError('signed_out', 'nobody is signed in', { cause })
}

function unavailable(message: string, retryAfter = 0, cause?: unknown): ClientError {
  return new ClientError('unavailable', message, { retryAfter, cause })
}

function parseStored(text: string | null | undefined): Stored | undefined {
  try {
    return JSON.parse(text ?? 'null') ?? undefined
  } catch {
    return undefined
  }
}

function parseNext(body: Record<string, unknown>): NextProof | undefined {
  const { auth_session: authSession, factors, passkey_options: passkeyOptions } = body
  if (typeof authSession !== 'string' || !Array.isArray(factors)) return undefined
  return { authSession, factors, ...(passkeyOptions !== undefined && { passkeyOptions }) }
}

function codeRequest(challenge: string) {
  return { response_type: 'code', code_challenge: challenge, code_challenge_method: 'S256' }
}

function parseRequirements(challenge: string | null): Requirements | undefined {
  if (!challenge?.includes('error="insufficient_user_authentication"')) return undefined
  const acrValues = /\bacr_values="([^"]*)"/.exec(challenge)?.[1]
  const maxAge = /\bmax_age="?(\d+)/.exec(challenge)?.[1]
  return { ...(acrValues && { acr_values: acrValues }), ...(maxAge && { max_age: maxAge }) }
}

async function createPkceByWebCrypto(): Promise<Pkce> {
  const encode = (bytes: Uint8Array) =>
    btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, character => ({ '+': '-', '/': '_' })[character] ?? '')
  const verifier = encode(crypto.getRandomValues(new Uint8Array(32)))
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  return { verifier, challenge: encode(new Uint8Array(digest)) }
}

/** Not URLSearchParams: React Native's is incomplete. */
function formEncode(params: Record<string, string | undefined>): string {
  const fields = Object.entries(params).filter(([, value]) => value !== undefined)
  return fields.map(([name, value]) => `${name}=${encodeURIComponent(value!)}`).join('&')
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'getReader' in body
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

function createLock(name: string): Lock {
  type WebLocks = { request: <T>(name: string, task: () => Promise<T>) => Promise<T> }
  const { locks } = (globalThis as { navigator?: { locks?: WebLocks } }).navigator ?? {}
  if (locks !== undefined) return task => locks.request(name, task)
  let last: Promise<unknown> = Promise.resolve()
  return task => {
    const result = last.then(task)
    last = result.catch(() => {})
    return result
  }
}
