/** Passkeys as a browser makes and uses them, with what this server asks for: WebAuthn Level 3. */
import type { Page } from 'playwright-core'
import {
  createChallenge,
  creationOptions,
  type PasskeyQuestion,
  requestOptions,
  verifyRegistration,
} from '../../src/users/factors/passkey.ts'
import { parsePasskeyData } from '../../src/users/factors/passkey_data.ts'
import { defaultPasskeySettings, relyingPartyOf } from '../../src/users/factors/relying_party.ts'
import { signInByPasskey } from '../../src/users/sign_in_by_passkey.ts'
import { addFactor } from '../_factors.ts'
import { serve } from '../interop/_discoverable.ts'
import { browserTest, type Site, startSite } from './_chromium.ts'
import { addVirtualAuthenticator } from './_virtual_authenticator.ts'

/** What a script of a page does. @returns JSON text, as the page sends it */
const create = (page: Page, options: object) =>
  page.evaluate<string>(`navigator.credentials
    .create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(${JSON.stringify(options)}) })
    .then(credential => JSON.stringify(credential), error => error.name)`)
const get = (page: Page, options: object) =>
  page.evaluate<string>(`navigator.credentials
    .get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(${JSON.stringify(options)}) })
    .then(credential => JSON.stringify(credential), error => error.name)`)

function ask({ deps, issuer }: Site): PasskeyQuestion {
  return { relyingParty: relyingPartyOf(issuer)!, challenge: createChallenge(deps.randomBytes) }
}

async function alice({ deps }: Site) {
  return (await deps.storage.findUserByUsername('alice'))!
}

/** Makes a passkey in the browser and stores it. */
async function enrol(server: Site, page: Page) {
  const user = await alice(server)
  const asked = ask(server)
  const made = await verifyRegistration(asked, await create(page, creationOptions(asked, user, [])))
  return addFactor(server, { id: 'fac_passkey', userId: user.id, kind: 'passkey', ...made })
}

function signInBy(server: Site, asked: PasskeyQuestion, answer: string) {
  return signInByPasskey(server.deps, { answer, asked, clientId: 'app' }, { ip: '127.0.0.1', requestId: 'request' })
}

for (const [isSynced, amr] of [
  [false, 'hwk'],
  [true, 'swk'],
] as const) {
  browserTest(
    `a passkey ${isSynced ? 'in a cloud' : 'of the device'} signs in without a name (amr ${amr})`,
    async (t, open) => {
      const server = await startSite(t, 'localhost')
      const page = await open(server)
      const authenticator = await addVirtualAuthenticator(page, { isSynced })
      await page.goto('/')
      const factor = await enrol(server, page)

      const [credential] = await authenticator.credentials()
      const user = await alice(server)
      t.like(credential, { isResidentCredential: true, rpId: 'localhost' })
      t.is(Buffer.from(credential!.userHandle!, 'base64').toString(), user.id)
      t.like(parsePasskeyData(factor.data), { rpId: 'localhost', backupEligible: isSynced, backedUp: isSynced })

      const asked = ask(server)
      const answer = await get(page, requestOptions(asked, []))
      const authentication = await signInBy(server, asked, answer)
      t.like(authentication, { user: { id: user.id }, amr: [amr, 'user', 'mfa'] })
      await t.throwsAsync(signInBy(server, ask(server), answer), { code: 'invalid_grant' }, 'to another challenge')
    },
  )
}

browserTest('a device makes one passkey of a user, and is asked for that one by name', async (t, open) => {
  const server = await startSite(t, 'localhost')
  const page = await open(server)
  await addVirtualAuthenticator(page)
  await page.goto('/')
  const factor = await enrol(server, page)

  const asked = ask(server)
  t.is(await create(page, creationOptions(asked, await alice(server), [factor])), 'InvalidStateError')
  const options = requestOptions(asked, [factor])
  t.is(options.allowCredentials[0]?.id, factor.handle)
  t.is((await signInBy(server, asked, await get(page, options))).uses?.[0]?.factorId, factor.id)
})

browserTest(
  'without the right finger the browser gives no answer, and what it gives to less is refused',
  async (t, open) => {
    const server = await startSite(t, 'localhost')
    const page = await open(server)
    const authenticator = await addVirtualAuthenticator(page)
    await page.goto('/')
    await enrol(server, page)

    await authenticator.recognise(false)
    const asked = ask(server)
    t.is(await get(page, requestOptions(asked, [])), 'NotAllowedError')
    const unverified = await get(page, { ...requestOptions(asked, []), userVerification: 'discouraged' })
    const error = await t.throwsAsync(signInBy(server, asked, unverified), { code: 'invalid_grant' })
    t.is(error?.cause, 'the user was not verified')
    await authenticator.recognise(true)
    t.truthy(await signInBy(server, asked, await get(page, requestOptions(asked, []))))
  },
)

browserTest(
  'a page of another origin in the same domain gets an answer, which counts only where it is set',
  async (t, open) => {
    const server = await startSite(t, 'localhost')
    const url = await serve(t, (_request, response) => {
      response.setHeader('Content-Type', 'text/html')
      response.end('<!doctype html><html lang="en"><title>Another page</title><link rel="icon" href="data:,">')
    })
    const other = url.replace('127.0.0.1', 'localhost')
    const page = await open(server, { others: [other] })
    await addVirtualAuthenticator(page)
    await page.goto('/')
    await enrol(server, page)

    await page.goto(other)
    const asked = ask(server)
    const answer = await get(page, requestOptions(asked, []))
    const error = await t.throwsAsync(signInBy(server, asked, answer), { code: 'invalid_grant' })
    t.is(error?.cause, `the answer is of the origin ${other}, which LATCHKEY_PASSKEY_ORIGINS does not name`)
    const relyingParty = relyingPartyOf(server.issuer, { ...defaultPasskeySettings, relatedOrigins: [other] })!
    t.truthy(await signInBy(server, { ...asked, relyingParty }, answer))
  },
)
