/** What a browser sends and keeps, for tests over HTTP: its headers, the forms of our own pages, the session cookie. */
import { cookieName } from '../src/http/browser/cookies.ts'
import { type Answer, issuer, password, type TestServer } from './_server.ts'

/** What Chromium sends for a page. */
export const browserAccept =
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7'

/** A browser that opens a page, or sends a form, of this site. */
export const ofPage = { accept: browserAccept, 'sec-fetch-site': 'same-origin' }

export function withCookie(value: string, name = cookieName(issuer)) {
  return { cookie: `${name}=${value}` }
}

function cookieOf({ deps }: TestServer, value: string) {
  return withCookie(value, cookieName(deps.config.issuer))
}

/** @returns the value that an answer sets; '' where it clears the cookie; undefined where it leaves it alone */
export function setCookieValue({ headers }: Answer): string | undefined {
  // Others go with it: what the next page has to say, the token of a link.
  const cookie = headers.getSetCookie().find(one => !/^(?:__Host-)?latchkey-[a-z]+-/.test(one))
  if (cookie === undefined) return undefined
  const value = /^(?:__Host-)?latchkey-[0-9a-f]{8}=([^;]*);/.exec(cookie)?.[1]
  if (value === undefined || (value === '') !== / Max-Age=0;/.test(cookie))
    throw new Error(`no session cookie: ${cookie}`)
  return value
}

/** What an answer leaves for the account page to say: in a cookie, after a redirect to that page. */
export function leftNotice({ status, headers }: Answer): string | undefined {
  if (status !== 303 || headers.get('location') !== '/profile') return undefined
  const [, value] =
    /(?:^|, )(?:__Host-)?latchkey-notice-[0-9a-f]{8}=([^;]*);/.exec(headers.getSetCookie().join(', ')) ?? []
  return value
}

/** Signs in and insists on success. @returns the value of the cookie */
export async function signInByCookie(server: TestServer, params: Record<string, string> = {}): Promise<string> {
  const answer = await server.post('/login', { username: 'alice', password, ...params })
  const value = setCookieValue(answer)
  if (answer.status !== 200 || !value) throw new Error(`sign-in failed: ${JSON.stringify(answer.body)}`)
  return value
}

/** Sends a request with the cookie, as a program unless `headers` say otherwise. */
export function getByCookie(server: TestServer, path: string, cookie: string, headers: Record<string, string> = {}) {
  return server.request(path, { headers: { ...cookieOf(server, cookie), ...headers } })
}

/** Posts a form of our own pages. */
export function postFromPage(
  server: TestServer,
  path: string,
  params: Record<string, string>,
  cookie?: string,
  headers: Record<string, string> = {},
) {
  return server.post(path, params, { ...ofPage, ...(cookie !== undefined && cookieOf(server, cookie)), ...headers })
}

/** Whether the cookie signs somebody in. */
export async function isSignedIn(server: TestServer, cookie: string): Promise<boolean> {
  return (await getByCookie(server, '/profile', cookie)).status === 200
}

export function liveSessions(server: TestServer) {
  return server.deps.storage.listLiveSessions({}, server.clock.now(), 1000)
}

/** Everything that a request could have changed. */
export async function stateOf(server: TestServer) {
  const { storage } = server.deps
  return [
    await liveSessions(server),
    await storage.listUsers(),
    await storage.listClients(),
    await storage.listAuditEvents(1000),
  ]
}
