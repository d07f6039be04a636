/**
 * A real browser against a real server over HTTP. Each test has a context of its own, as a person has a browser, and fails on
 * whatever the browser complains about: errors and warnings in the console, violations of the CSP, requests to anybody else.
 */
import { existsSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { password } from '../_server.ts'
import { type Discoverable, startDiscoverable } from '../interop/_discoverable.ts'

const executablePath = '/usr/bin/chromium'
// What the same browser says with a window: without one it calls itself HeadlessChrome.
const userAgent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36'
const isRequired = process.env.BROWSER_TESTS === 'required' || Boolean(process.env.CI)
const isHere = existsSync(executablePath)

export type BrowserOptions = BrowserContextOptions & {
  /** Origins of other sites that a test goes to on purpose. */
  others?: readonly string[]
  /** Paths whose refusal a script of the page is meant to get. */
  refusals?: readonly string[]
}

/** Opens a page in a context of its own; paths are those of the server. */
export type Open = (server: { issuer: string }, options?: BrowserOptions) => Promise<Page>

/** A test with a browser. Where there is none a single line of the report says so, unless browsers are required. */
export function browserTest(title: string, run: (t: ExecutionContext, open: Open) => Promise<void>): void {
  if (!isHere && !isRequired) return
  // One after the other: a page that waits for its turn on a busy machine looks like one that hangs.
  test.serial(title, async t => {
    const troubles: (() => string[])[] = []
    await run(t, async (server, { others = [], refusals = [], ...options } = {}) => {
      const context = await (await launch()).newContext({
        baseURL: server.issuer,
        userAgent,
        locale: 'en-GB',
        ...options,
      })
      t.teardown(() => context.close())
      context.setDefaultTimeout(20_000)
      troubles.push(watch(context, [server.issuer, ...others], refusals))
      return context.newPage()
    })
    t.deepEqual(
      troubles.flatMap(list => list()),
      [],
    )
  })
}

let browser: Promise<Browser> | undefined

function launch(): Promise<Browser> {
  browser ??= chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    // People's browsers have it, and Back is where it shows.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  })
  return browser
}

if (isHere || isRequired) {
  test.after.always(async () => {
    await (await browser)?.close()
  })
} else {
  test.skip(`there is no Chromium at ${executablePath}; npm run test:browser insists on it`, () => {})
}

/** @returns what the browser has complained about until now */
function watch(context: BrowserContext, origins: readonly string[], refusals: readonly string[]): () => string[] {
  const strays: string[] = []
  const complaints: { text: string; url: string }[] = []
  const refusedPages = new Set<string>()
  context.on('request', request => {
    const { protocol, origin } = new URL(request.url())
    if (protocol !== 'data:' && !origins.includes(origin)) strays.push(`request to ${request.url()}`)
  })
  context.on('response', response => {
    const isMeant = response.request().isNavigationRequest() || refusals.includes(new URL(response.url()).pathname)
    if (response.status() >= 400 && isMeant) refusedPages.add(response.url())
  })
  context.on('console', message => {
    if (['error', 'warning'].includes(message.type()))
      complaints.push({ text: message.text(), url: message.location().url })
  })
  context.on('weberror', ({ error }) => complaints.push({ text: String(error()), url: '' }))
  // That a page came with a status of 400 or more is told in the console too, and is what its test is about.
  const isMeant = ({ text, url }: (typeof complaints)[number]) =>
    text.startsWith('Failed to load resource: the server responded with a status of') && refusedPages.has(url)
  return () => [...strays, ...complaints.filter(one => !isMeant(one)).map(({ text, url }) => `${text} (${url})`)]
}

export type Site = Discoverable

/**
 * A server for browsers: the user `alice`, and the public client `app` that her phone signs in with.
 *
 * @param host `localhost` where passkeys are needed: an address has none
 */
export async function startSite(t: ExecutionContext, host?: string): Promise<Site> {
  const server = await startDiscoverable(t, {}, host)
  await server.addClient()
  return server
}

/** Signs in as alice and stays on the account page. */
export async function signIn(page: Page, as: { username?: string; password?: string } = {}): Promise<void> {
  await page.goto('/login')
  await page.getByLabel('Username').fill(as.username ?? 'alice')
  await page.getByLabel('Password').fill(as.password ?? password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.waitForURL('/profile')
}

/** Where a person is, the heading, and what is said to them. */
export async function firstSight(page: Page): Promise<{ path: string; heading: string; message: string | undefined }> {
  const { pathname, search } = new URL(page.url())
  const heading = await page.getByRole('heading', { level: 1 }).innerText()
  const [message] = await page.locator('[role=alert], [role=status]').allInnerTexts()
  return { path: pathname + search, heading, message: message?.replace(/\n+/g, '\n') }
}

export type TypedField = {
  label: string
  value: string
  focused: boolean
  invalid: boolean
  /** What is read out after the label. */
  description: string
}

/** The fields of the form as a person sees and hears them. */
export function typedFields(page: Page): Promise<TypedField[]> {
  return page.evaluate(`Array.from(document.querySelectorAll('.field input'), input => ({
    label: input.labels[0].textContent,
    value: input.value,
    focused: input === document.activeElement,
    invalid: input.getAttribute('aria-invalid') === 'true',
    description: (input.getAttribute('aria-describedby') ?? '').split(' ').filter(id => id !== '')
      .map(id => document.getElementById(id).innerText).join(' '),
  }))`)
}

/** @returns how many forms the page has sent until now */
export function countPosts(page: Page): () => number {
  let posts = 0
  page.on('request', request => {
    if (request.method() === 'POST') posts++
  })
  return () => posts
}
