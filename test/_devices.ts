/**
 * Devices that sign in, refresh and log out as an app would, each by the retry rule: after a network error or a 5xx again
 * with the same token, after an answer with the new one. What was acknowledged is written down, to be held against the server.
 */
import { setTimeout as delay } from 'node:timers/promises'

export type Tokens = Readonly<{ accessToken: string; refreshToken: string }>

/** One line of what a device saw. `at` is what `mark` said when it happened. */
type Entry = Readonly<{
  session: number
  kind: 'signed in' | 'refreshed' | 'asks to end' | 'ended'
  at: number
  tokens: Tokens
}>

export type Account = Readonly<{ username: string; password: string }>

export type Fleet = ReturnType<typeof createFleet>

type FleetOptions = Partial<{
  /** What to note beside each entry of the history, growing. */
  mark: () => number
  /** Milliseconds between two requests of one device. */
  pace: number
  /** A network error is tried again, instead of ending the run of its device. */
  isPatient: boolean
}>

export function createFleet(
  size: number,
  account: Account,
  { mark = () => 0, pace = 0, isPatient = false }: FleetOptions = {},
) {
  const history: Entry[] = []
  /** What must not happen: a device that followed the rule and was signed out. */
  const signedOut: string[] = []
  const unavailable: number[] = []
  /** Those of them that do not say when to come again (RFC 9110 §10.2.3). */
  const withoutRetryAfter: number[] = []
  let unanswered = 0
  let sessions = 0
  let stopping = false
  let onAnswer = () => {}

  const devices = Array.from({ length: size }, () => {
    let session: { id: number; tokens: Tokens; isEnding: boolean } | undefined
    let refreshes = 0

    const note = (kind: Entry['kind']) =>
      history.push({ session: session!.id, kind, at: mark(), tokens: session!.tokens })

    /** One request. Throws when there was no answer. */
    async function step(url: string): Promise<void> {
      if (session === undefined) {
        const answer = await post(`${url}/token`, { ...account, grant_type: 'password', client_id: 'app' })
        const { status, body } = answer
        if (status >= 500) return again(answer)
        if (status !== 200) throw new Error(`a sign-in was answered with ${status}`)
        session = { id: sessions++, tokens: tokensOf(body), isEnding: false }
        note('signed in')
      } else if (session.isEnding || (refreshes > 0 && refreshes % 5 === 0)) {
        if (!session.isEnding) note('asks to end')
        session.isEnding = true
        const answer = await post(`${url}/logout`, {}, session.tokens.accessToken)
        const { status } = answer
        if (status >= 500) return again(answer)
        if (status === 401 && (await refreshToEnd(url))) return
        note('ended')
        session = undefined
        refreshes = 0
      } else {
        const { refreshToken } = session.tokens
        const answer = await post(`${url}/token`, refreshForm(refreshToken))
        const { status, body } = answer
        if (status >= 500) return again(answer)
        if (status !== 200) {
          signedOut.push(`session ${session.id} after ${refreshes} refreshes: ${status} ${JSON.stringify(body)}`)
          session = undefined
          refreshes = 0
          return
        }
        session.tokens = tokensOf(body)
        refreshes++
        note('refreshed')
      }
    }

    /** Either the session has ended, by a logout whose answer was lost, or the access token is too old to end it. */
    async function refreshToEnd(url: string): Promise<boolean> {
      const answer = await post(`${url}/token`, refreshForm(session!.tokens.refreshToken))
      const { status, body } = answer
      if (status >= 500) await again(answer)
      if (status === 200) session!.tokens = tokensOf(body)
      return status !== 400
    }

    async function again({ status, headers }: Awaited<ReturnType<typeof post>>) {
      unavailable.push(status)
      if (!/^[1-9]\d?$/.test(headers.get('retry-after') ?? '')) withoutRetryAfter.push(status)
      await delay(20)
    }

    return async (url: string) => {
      while (!stopping) {
        try {
          await step(url)
        } catch (error) {
          if (!isNetworkError(error)) throw error
          if (!isPatient) return
          unanswered++
        }
        onAnswer()
        if (pace > 0) await delay(pace)
      }
    }
  })

  return {
    history,
    signedOut,
    /** The 5xx answers. */
    unavailable,
    withoutRetryAfter,
    /** How many requests met a network error. */
    unanswered: () => unanswered,
    /** Runs every device until it finds no server, unless it is patient, or until {@link stop}. */
    async run(url: string, answered: () => void = () => {}): Promise<void> {
      stopping = false
      onAnswer = answered
      await Promise.all(devices.map(device => device(url)))
    },
    stop() {
      stopping = true
    },
    /** What the answers up to a mark promise. A session whose end was asked for and not answered may be either. */
    promisedAt(limit = Number.POSITIVE_INFINITY): { living: Tokens[]; ended: Tokens[] } {
      const last = new Map<number, Entry>()
      for (const entry of history) if (entry.at <= limit) last.set(entry.session, entry)
      const tokensWhere = (kinds: Entry['kind'][]) =>
        [...last.values()].filter(({ kind }) => kinds.includes(kind)).map(({ tokens }) => tokens)
      return { living: tokensWhere(['signed in', 'refreshed']), ended: tokensWhere(['ended']) }
    },
  }
}

/** @returns what the server does not hold to, in words; nothing is changed by asking, but a broken promise that ended refreshes */
export async function brokenPromises(url: string, promised: { living: Tokens[]; ended: Tokens[] }): Promise<string[]> {
  const broken: string[] = []
  await inParallel(promised.ended, async ({ accessToken, refreshToken }) => {
    const me = await userOf(url, accessToken)
    if (me !== 401) broken.push(`an ended session's access token: ${me}`)
    const refreshed = await post(`${url}/token`, refreshForm(refreshToken))
    if (refreshed.body.error !== 'invalid_grant') broken.push(`an ended session's refresh token: ${refreshed.status}`)
  })
  await inParallel(promised.living, async ({ accessToken }) => {
    const me = await userOf(url, accessToken)
    if (me !== 200) broken.push(`a living session's access token: ${me}`)
  })
  return broken
}

/** Refreshes what must live, as the devices will. @returns what was refused, in words */
export async function refusedRefreshes(url: string, living: readonly Tokens[]): Promise<string[]> {
  const refused: string[] = []
  await inParallel(living, async ({ refreshToken }) => {
    const { status, body } = await post(`${url}/token`, refreshForm(refreshToken))
    if (status !== 200) refused.push(`a living session's refresh token: ${status} ${JSON.stringify(body)}`)
  })
  return refused
}

export async function userOf(url: string, accessToken: string): Promise<number> {
  const response = await fetch(`${url}/users/me`, { headers: { authorization: `Bearer ${accessToken}` } })
  await response.arrayBuffer()
  return response.status
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>, width = 16): Promise<void> {
  const queue = items[Symbol.iterator]()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}

const refreshForm = (token: string) => ({ grant_type: 'refresh_token', client_id: 'app', refresh_token: token })

const tokensOf = (body: Record<string, unknown>): Tokens => ({
  accessToken: String(body.access_token),
  refreshToken: String(body.refresh_token),
})

async function post(url: string, form: Record<string, string>, accessToken?: string) {
  const response = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams(form),
    headers: accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` },
  })
  const body = (await response.json()) as Record<string, unknown>
  return { status: response.status, headers: response.headers, body }
}

/** fetch throws a TypeError for whatever happens to a connection. */
function isNetworkError(error: unknown): boolean {
  return error instanceof TypeError && ['fetch failed', 'terminated'].includes(error.message)
}
