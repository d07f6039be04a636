/** Factors of users for tests, put into the database as an enrolment puts them. */
import { auditEvent } from '../src/audit/audit.ts'
import { createFactorId, type Factor } from '../src/users/factors/factor.ts'
import { createRecoveryCodes, digestRecoveryCodes } from '../src/users/factors/recovery_codes.ts'
import { createTotpSecret, sealTotpSecret, stepAt, totpCode } from '../src/users/factors/totp.ts'
import type { TestServer } from './_server.ts'

type Server = Pick<TestServer, 'deps' | 'clock'>

/** @returns what the app on a phone shows now, or some steps of 30 seconds from now, and the factor */
export async function addTotp(server: Server, userId: string) {
  const { secrets, randomBytes } = server.deps
  const id = createFactorId(randomBytes)
  const secret = createTotpSecret(randomBytes)
  const factor = await addFactor(server, {
    id,
    userId,
    kind: 'totp',
    data: sealTotpSecret(secret, id, secrets, randomBytes),
  })
  return { factor, code: (steps = 0) => totpCode(secret, stepAt(server.clock.now()) + steps) }
}

/** @returns the codes, and the factor */
export async function addRecoveryCodes(server: Server, userId: string) {
  const { secrets, randomBytes } = server.deps
  const codes = createRecoveryCodes(randomBytes)
  const data = digestRecoveryCodes(codes, secrets)
  const factor = await addFactor(server, { id: createFactorId(randomBytes), userId, kind: 'recovery_codes', data })
  return { factor, codes }
}

async function addFactor(
  { deps: { storage }, clock }: Server,
  given: Pick<Factor, 'id' | 'userId' | 'kind' | 'data'>,
): Promise<Factor> {
  const factor = { ...given, createdAt: clock.now(), counter: 0 }
  const { userId } = given
  await storage.changeUser(userId, user => ({
    outcome: undefined,
    user: { ...user!, credentialVersion: user!.credentialVersion + 1 },
    factors: { put: [factor] },
    event: auditEvent('factor.added', clock.now(), {}, { userId }),
  }))
  return factor
}
