/**
 * A client of Latchkey for an app in a browser, in React Native or in Node: it signs in, adds the access token to requests,
 * refreshes it and signs out. It needs `fetch` and nothing else: copy this file.
 *
 * A refresh token stays in the storage until its successor is there, so an answer that got lost is asked for again with the
 * same token. Nothing but `invalid_grant` signs the user out, no failing network and no crash. RFC 6749 §4.3 and §6, RFC 7009.
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
  /** Runs one task at a time among all who share the storage. Default: Web Locks; without them, one at a time in this client. */
  lock?: Lock
  /** Milliseconds to wait for one answer of the server, 15 000 by default. Keep it below the server's retry window. */
  timeout?: number
  /** The clock and the timer, in milliseconds; for tests. */
  now?: () => number
  wait?: (milliseconds: number) => Promise<void>
}

export type Lock = <T>(task: () => Promise<T>) => Promise<T>

export type Client = ReturnType<typeof createClient>

/**
 * Why a call has no result. Its `code` is
 * - `unavailable`: no connection, or a server in trouble; the user stays signed in, try again later;
 * - `signed_out`: nobody is signed in; ask for the password;
 * - an error of RFC 6749 §5.2: at `signIn`, `invalid_grant` is a wrong username or password; others are mistakes in the app.
 */
export class ClientError extends Error {
  readonly code: string
  /** Seconds to wait, when the server says so. */
  readonly retryAfter: number

  constructor(code: string, message: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, { cause: options.cause })
    this.name = 'ClientError'
    this.code = code
    this.retryAfter = options.retryAfter ?? 0
  }
}

/** What the storage holds, as JSON. `session` is a name of ours, the same until somebody signs in again. */
type Stored = { session: string; refreshToken: string; ending?: true }
type TokenResponse = { access_token: string; refresh_token: string; expires_in: number }

/** Seconds before its end, and at most a tenth of its life, that an access token is not used any more. */
const expiryMargin = 30
/** A request without an answer is sent again so many times, after a random part of 1, 2, 4 and 8 seconds. */
const retries = 4
/** Seconds. Who is told by `Retry-After` to wait longer than this is not kept waiting. */
const longestWait = 60

export function createClient(options: ClientOptions) {
  const { issuer, clientId, storage, apis, onSignedOut, timeout = 15_000 } = options
  const { lock = createLock(`latchkey ${issuer} ${clientId}`), now = Date.now, wait = sleep } = options

  /** The session that this client works for: what another tab starts is another user's, perhaps. */
  let session: string | undefined
  let access: { token: string; usableUntil: number } | undefined
  let refreshing: Promise<string> | undefined

  /** @param refused an access token that an API did not take */
  async function accessToken(refused?: string): Promise<string> {
    if (access !== undefined && access.token !== refused && now() < access.usableUntil) return access.token
    // Many requests, one refresh.
    refreshing ??= refresh().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  async function refresh(): Promise<string> {
    for (;;) {
      const token = await retry(() => lock(refreshOnce))
      if (token !== undefined) return token
    }
  }

  /** @returns undefined when somebody else has changed the storage meanwhile: begin again with what it holds now */
  async function refreshOnce(): Promise<string | undefined> {
    const before = await storage.load()
    const stored = parseStored(before)
    const isOurs = stored !== undefined && stored.session === (session ?? stored.session)
    if (!isOurs || stored.ending) throw endSession()

    const sentAt = now()
    const answer = await post('/token', { grant_type: 'refresh_token', refresh_token: stored.refreshToken })
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
    if (!(await signOut())) throw unavailable('the last session could not be ended')
    const sentAt = now()
    const answer = await post('/token', { grant_type: 'password', username, password, ...more })
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
   * `fetch` with the access token. On a 401 it refreshes and sends the request once more, unless its body is a stream, which
   * cannot be sent twice.
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
    response.body?.cancel().catch(() => {})
    return send(await accessToken(token))
  }

  /** Sends a form. @returns the answer, or why the server refused; everything else is thrown as `unavailable` */
  async function post(path: string, params: Record<string, string | undefined>): Promise<TokenResponse | ClientError> {
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
      const body = (await response.json()) as TokenResponse & { error?: unknown; error_description?: string }
      if (response.ok && (path !== '/token' || typeof body.access_token === 'string')) return body
      // The sign-in page of a hotel's network is no answer of the server.
      if (response.ok || typeof body.error !== 'string') throw unavailable('somebody else has answered')
      return new ClientError(body.error, body.error_description ?? body.error)
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

  return { signIn, signOut, isSignedIn, fetch: fetchWithToken }
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
