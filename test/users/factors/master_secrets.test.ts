/** What of factors depends on a master secret, and secrets of codes under another one: on the database of the test. */
import test from 'ava'
import { reencryptFactors } from '../../../src/admin/master_secrets.ts'
import { auditEvent } from '../../../src/audit/audit.ts'
import type { MasterSecrets } from '../../../src/keys/master_secret.ts'
import { resealFactors } from '../../../src/upkeep.ts'
import { createFactorId, type Factor } from '../../../src/users/factors/factor.ts'
import { countFactorsByMasterSecret } from '../../../src/users/factors/master_secrets.ts'
import { sealTotpSecret, verifyTotp } from '../../../src/users/factors/totp.ts'
import { addRecoveryCodes, addTotp } from '../../_factors.ts'
import { createTestSecrets, startServerWithAlice } from '../../_server.ts'

const both = createTestSecrets('new', 'secret')
const [newer, older] = both as unknown as [MasterSecrets[0], MasterSecrets[0]]

test('secrets of codes of however many pages come under the newest master secret, and go on; what nobody can read stays', async t => {
  const { aliceId, ...server } = await startServerWithAlice(t)
  const { storage, randomBytes } = server.deps
  const { factor, code } = await addTotp(server, aliceId)
  const put = Array.from({ length: 450 }, (): Factor => {
    const id = createFactorId(randomBytes)
    return { ...factor, id, data: sealTotpSecret(randomBytes(20), id, [older], randomBytes) }
  })
  const lost = { ...factor, id: createFactorId(randomBytes), data: '00000000.AAAA' }
  await storage.changeUser(aliceId, () => ({ outcome: undefined, factors: { put: [...put, lost] } }))
  await addRecoveryCodes(server, aliceId)
  const counts = async () => Object.fromEntries(await countFactorsByMasterSecret(storage))
  const unknown = { '00000000': { totpSecrets: 1, recoveryCodes: 0 } }
  t.deepEqual(await counts(), { ...unknown, [older.name]: { totpSecrets: 451, recoveryCodes: 1 } })

  t.is(await resealFactors({ storage, randomBytes, secrets: both }, older.name), newer.name)
  t.deepEqual(await counts(), {
    ...unknown,
    [newer.name]: { totpSecrets: 451, recoveryCodes: 0 },
    [older.name]: { totpSecrets: 0, recoveryCodes: 1 },
  })
  const row = (await storage.listFactors(aliceId)).find(({ id }) => id === factor.id)!
  t.truthy(verifyTotp(row, code(), [newer], server.clock.now()))
  t.deepEqual({ ...row, data: '' }, { ...factor, name: undefined, usedAt: undefined, handle: undefined, data: '' })
})

test('a node looks once for each master secret that it makes under, and not at all where there is one', async t => {
  const { aliceId, ...server } = await startServerWithAlice(t)
  const { storage, randomBytes } = server.deps
  await addTotp(server, aliceId)
  let looks = 0
  const watched = {
    ...storage,
    listFactorsOfKind: (...args: Parameters<typeof storage.listFactorsOfKind>) => {
      looks++
      return storage.listFactorsOfKind(...args)
    },
  }
  const reseal = (secrets: MasterSecrets, name: string) =>
    resealFactors({ storage: watched, randomBytes, secrets }, name)
  const before = await reseal([older], '')
  t.deepEqual([before, looks], [older.name, 0])
  // The new one is there and not in use yet.
  t.deepEqual([await reseal([older, newer], before), looks], [older.name, 0])
  t.deepEqual([await reseal(both, before), looks], [newer.name, 1])
  t.deepEqual([await reseal(both, newer.name), looks], [newer.name, 1])
})

test('secret rotate leaves codes alone until servers use the new master secret: one that lacks it could verify none', async t => {
  const { aliceId, ...server } = await startServerWithAlice(t)
  const { storage } = server.deps
  const { factor, code } = await addTotp(server, aliceId)
  const deps = { ...server.deps, secrets: async () => both }
  const at = server.clock.now()
  const note = (usedSince: number) =>
    storage.noteMasterSecret({ name: newer.name, usedSince }, auditEvent('secret.in_use', at, {}))
  t.is(await reencryptFactors(deps), 0)
  await note(at + 300)
  t.is(await reencryptFactors(deps), 0)
  t.truthy(verifyTotp(factor, code(), [older], at))
  server.clock.advance(300)
  t.is(await reencryptFactors(deps), 1)
  t.is(await reencryptFactors(deps), 0)
  const row = (await storage.listFactors(aliceId))[0]!
  t.throws(() => verifyTotp(row, code(), [older], at), { code: 'temporarily_unavailable' })
})
