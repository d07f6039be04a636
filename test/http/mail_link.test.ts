/** How links of mails are opened in browsers, whatever they are for: scanners open them too, and nothing of it may count. */
import test from 'ava'
import { z } from 'zod'
import { endpointsOf } from '../../src/app.ts'
import { cookieName } from '../../src/http/browser/cookies.ts'
import { mailLinkEndpoints, openMailLink } from '../../src/http/browser/mail_link.ts'
import { createSite, redirect, sendPage } from '../../src/http/browser/pages.ts'
import type { Endpoint } from '../../src/http/endpoint.ts'
import { htmlType } from '../../src/http/media_types.ts'
import { formatLink, linkUse, type MailLink } from '../../src/mail/link.ts'
import type { Deps } from '../../src/oauth/deps.ts'
import { browserAccept, ofPage, stateOf } from '../_cookies.ts'
import { heading } from '../_pages.ts'
import { type Answer, issuer, type ServerOptions, startServer, type TestServer } from '../_server.ts'

const path = '/mail/deletion_notice'
const ofMail = { accept: browserAccept, 'sec-fetch-site': 'cross-site' }

/** Pages of a purpose that say what link they were shown for, and remember what was sent to them. */
async function startLinks(t: Parameters<typeof startServer>[0], options: ServerOptions = {}) {
  const done: string[] = []
  const endpoints = (deps: Deps, docs: boolean): readonly Endpoint[] => {
    const site = createSite(deps.config.issuer, deps.brand)
    const links = mailLinkEndpoints(deps, site, {
      purpose: 'deletion_notice',
      id: 'test',
      summary: 'a test',
      form: z.object({}),
      async show({ ctx, link }) {
        sendPage(ctx, `<!doctype html><h1>${link.userId}</h1>`)
        return undefined
      },
      async act({ ctx, link, over, finish }, { name = '' }) {
        if (name === 'late') return over()
        done.push(`${link.userId} ${name}`)
        finish()
        redirect(ctx, '/')
        return undefined
      },
      next: () => ({ path: '/login', label: 'Sign in' }),
    })
    const byCode: Endpoint = {
      id: 'byCode',
      method: 'post',
      path: '/by-code',
      caller: 'open',
      cors: 'none',
      handle: ctx => openMailLink(deps, site, ctx, { ...given(deps), purpose: 'deletion_notice' }),
      describe: () => ({ tag: 'Browser', summary: '', answers: { 303: { description: '' } } }),
    }
    return [...endpointsOf(deps, docs).filter(one => one.path !== path), ...links, byCode]
  }
  const server = await startServer(t, { endpoints, ...options })
  const tokenOf = (link: Partial<MailLink> = {}) => formatLink({ ...given(server.deps), ...link }, server.deps)
  return { ...server, done, tokenOf }
}

function given({ now }: Pick<Deps, 'now'>): MailLink {
  return { id: 'A'.repeat(22), purpose: 'deletion_notice', userId: 'usr_1', expiresAt: now() + 3600 }
}

const name = (of: string = issuer) => cookieName(of, 'link-deletion_notice')

/** What a browser sends from now on, of what it was told to keep. */
function kept({ headers }: Answer): { cookie: string } {
  return {
    cookie: headers
      .getSetCookie()
      .map(cookie => cookie.split(';')[0])
      .join('; '),
  }
}

const openPage = ({ request }: TestServer, cookie: Record<string, string>, headers: Record<string, string> = ofMail) =>
  request(path, { headers: { ...headers, ...cookie } })

test('the token of a link moves from the URL into a cookie, and then its page is shown', async t => {
  const server = await startLinks(t)
  const token = server.tokenOf()
  const moved = await server.request(`${path}?token=${token}`, { headers: { ...ofMail, host: 'evil.example' } })
  t.deepEqual(
    [moved.status, ...['location', 'referrer-policy', 'cache-control'].map(one => moved.headers.get(one))],
    [303, path, 'no-referrer', 'no-store'],
  )
  t.deepEqual(moved.headers.getSetCookie(), [
    `${name()}=${token}; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax; Secure`,
  ])
  t.true(name().startsWith('__Host-latchkey-link-deletion_notice-'))
  const page = await openPage(server, kept(moved))
  t.deepEqual([page.status, heading(page), page.headers.get('cache-control')], [200, 'usr_1', 'no-store'])
  t.deepEqual(page.headers.getSetCookie(), [])
})

test('below a path of its issuer the browser is led to where its proxy has this server', async t => {
  const server = await startLinks(t, { oauth: { issuer: 'http://localhost:3000/auth' } })
  const moved = await server.request(`${path}?token=${server.tokenOf()}`, { headers: ofMail })
  t.is(moved.headers.get('location'), `/auth${path}`)
  t.regex(moved.headers.getSetCookie()[0]!, /^latchkey-link-deletion_notice-[0-9a-f]{8}=.*; HttpOnly; SameSite=Lax$/)
})

test('a scanner that opens a link twenty times, with its cookies and without, changes nothing; then the person does', async t => {
  const lines: string[] = []
  const server = await startLinks(t, { onLog: line => lines.push(line) })
  const token = server.tokenOf()
  const before = await stateOf(server)
  for (let i = 0; i < 10; i++) {
    for (const method of ['GET', 'HEAD']) {
      for (const accept of [browserAccept, '*/*']) {
        const moved = await server.request(`${path}?token=${token}`, { method, headers: { accept } })
        t.is(moved.status, 303)
        t.is((await server.request(path, { method, headers: { accept, ...kept(moved) } })).status, 200)
        t.is((await server.request(path, { method, headers: { accept } })).status, 400)
      }
    }
  }
  t.deepEqual(await stateOf(server), before)
  t.deepEqual(server.done, [])

  const cookie = kept(await server.request(`${path}?token=${token}`, { headers: ofMail }))
  const done = await server.post(path, { name: 'alice' }, { ...ofPage, ...cookie })
  t.deepEqual([done.status, done.headers.get('location'), server.done], [303, '/', ['usr_1 alice']])
  t.deepEqual(done.headers.getSetCookie(), [`${name()}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure`])
  // Promise 6: whoever reads the log has no link.
  t.true(lines.length > 100)
  t.deepEqual(
    lines.filter(line => line.includes(token.slice(0, 20)) || line.includes('token=')),
    [],
  )
})

test('the form of a link is taken from its own page alone (CSRF)', async t => {
  const server = await startLinks(t)
  const cookie = kept(await server.request(`${path}?token=${server.tokenOf()}`, { headers: ofMail }))
  for (const from of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }]) {
    const refused = await server.post(path, { name: 'eve' }, { accept: browserAccept, ...from, ...cookie })
    t.is(refused.status, 403)
  }
  t.deepEqual(server.done, [])
  t.is((await server.post(path, { name: 'alice' }, { ...ofPage, ...cookie })).status, 303)
})

test('what is no link of this purpose is told so: cut off, forged, of another purpose or another server, or twice', async t => {
  const server = await startLinks(t)
  const good = server.tokenOf()
  const other = server.tokenOf({ purpose: 'password_reset' })
  for (const token of [good.slice(0, -1), `${good}A`, 'lkm_', 'x', '', `${good};`, other, `lkm_${'A'.repeat(5000)}`]) {
    const moved = await server.request(`${path}?token=${encodeURIComponent(token)}`, { headers: ofMail })
    t.deepEqual([moved.status, moved.headers.get('location')], [303, path])
    const page = await openPage(server, kept(moved))
    t.deepEqual([page.status, heading(page)], [400, 'This link is not complete'], token)
    t.regex(page.body, /<a class="button main" href="\/login">Sign in<\/a>/)
    const form = await server.post(path, {}, { ...ofPage, ...kept(moved) })
    t.deepEqual([form.status, heading(form)], [400, 'This link is not complete'])
  }
  const repeated = await server.request(`${path}?token=${good}&token=${good}`, { headers: ofMail })
  t.is((await openPage(server, kept(repeated))).status, 400)
  const twice = { cookie: `${name()}=${good}; ${name()}=${good}` }
  t.is((await openPage(server, twice)).status, 400)
  t.is((await openPage(server, {}, { accept: '*/*' })).body.error, 'invalid_request')
  t.is((await openPage(server, { cookie: `${name()}=${good}` })).status, 200)
})

test('a link that was used, has expired or was overtaken says that it is over, and 410', async t => {
  const server = await startLinks(t)
  const cookieOf = (token: string) => ({ cookie: `${name()}=${token}` })
  const [first, second] = [server.tokenOf(), server.tokenOf({ id: 'B'.repeat(22) })]
  const late = await server.post(path, { name: 'late' }, { ...ofPage, ...cookieOf(first) })
  t.deepEqual([late.status, heading(late)], [410, 'This link no longer works'])
  await server.deps.storage.consumeOnce(linkUse({ id: 'A'.repeat(22) }), server.clock.now() + 3600)
  server.clock.advance(3599)
  const used = await openPage(server, cookieOf(first))
  t.deepEqual([used.status, heading(used)], [410, 'This link no longer works'])
  t.is((await openPage(server, cookieOf(second))).status, 200)
  server.clock.advance(1)
  const expired = await openPage(server, cookieOf(second), { ...ofMail, 'accept-language': 'ko' })
  t.deepEqual([expired.status, heading(expired)], [410, '이 링크는 더 이상 쓸 수 없어요'])
  const program = await openPage(server, cookieOf(second), { accept: '*/*' })
  t.deepEqual([program.status, program.body.error], [410, 'invalid_grant'])
  t.deepEqual((await server.post(path, {}, { ...ofPage, ...cookieOf(second) })).status, 410)
  t.deepEqual(server.done, [])
})

test('who has given the code of a mail has its link', async t => {
  const server = await startLinks(t)
  const led = await server.post('/by-code', {})
  t.deepEqual([led.status, led.headers.get('location')], [303, path])
  t.is(heading(await openPage(server, kept(led))), 'usr_1')
})

test('the pages of links are pages like all others', async t => {
  const server = await startLinks(t)
  const page = await openPage(server, {})
  t.is(page.headers.get('content-type')?.split(';')[0], htmlType)
  t.regex(page.headers.get('content-security-policy') ?? '', /form-action 'self'/)
})
