/** What the doctor says of passkeys when their domain is another one: WebAuthn §4, RP ID. */
import test from 'ava'
import { examinePasskeys } from '../../src/cli/doctor_passkeys.ts'
import { createFactorId } from '../../src/users/factors/factor.ts'
import { formatPasskeyData, parsePasskeyData } from '../../src/users/factors/passkey_data.ts'
import { defaultPasskeySettings } from '../../src/users/factors/relying_party.ts'
import { addPasskey, addTotp } from '../_factors.ts'
import { issuer, startServerWithAlice } from '../_server.ts'

const settings = { issuer, passkeys: defaultPasskeySettings }

test('passkeys of another domain are counted, on however many pages, and what to set is said', async t => {
  const { aliceId, ...server } = await startServerWithAlice(t)
  const { storage, randomBytes } = server.deps
  await addTotp(server, aliceId)
  t.deepEqual(await examinePasskeys(settings, storage), [])
  const { factor } = await addPasskey(server, aliceId)
  t.deepEqual(await examinePasskeys(settings, storage), [
    { check: 'passkeys', state: 'ok', found: '1 of auth.example.com' },
  ])

  const data = formatPasskeyData({ ...parsePasskeyData(factor.data)!, rpId: 'old.example.com' })
  const put = Array.from({ length: 700 }, (_, at) => {
    const broken = at === 0 ? { data: 'x' } : {}
    return { ...factor, id: createFactorId(randomBytes), handle: `handle ${at}`, data, ...broken }
  })
  await storage.changeUser(aliceId, () => ({ outcome: undefined, factors: { put } }))
  const [finding] = await examinePasskeys(settings, storage)
  t.is(finding?.state, 'warning')
  t.regex(finding!.found, /\b699 of old\.example\.com\b/)
  t.regex(finding!.found, /\b1 of no domain that can be read\b/)
  t.regex(finding!.found, /, and the domain is auth\.example\.com: they do not work$/)
  t.notRegex(finding!.found, /1 of auth/)
  t.regex(finding?.advice ?? '', /LATCHKEY_PASSKEY_RP_ID/)
})

test('where the domain was set back, or the issuer is an IP address now, it is said for the ones that are meant', async t => {
  const { aliceId, ...server } = await startServerWithAlice(t)
  await addPasskey(server, aliceId)
  const examine = async (origin: string | undefined, rpId?: string) => {
    const passkeys = { ...defaultPasskeySettings, rpId }
    const [finding] = await examinePasskeys({ issuer: origin, passkeys }, server.deps.storage)
    return `${finding?.state}: ${finding?.found}`
  }
  t.is(await examine('https://auth.example.com:8443'), 'ok: 1 of auth.example.com')
  t.is(await examine('https://login.auth.example.com', 'auth.example.com'), 'ok: 1 of auth.example.com')
  t.regex(await examine(undefined), /^warning: 1 of auth\.example\.com, and the domain is localhost/)
  t.regex(await examine('https://auth.example.com', 'example.com'), /^warning: .* the domain is example\.com/)
  t.regex(await examine('http://127.0.0.1:3000'), /^warning: .* the host of the issuer, an IP address, has none/)
})
