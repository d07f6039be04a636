/** Factors of users for tests, put into the database as an enrolment puts them. */
import { auditEvent } from '../src/audit/audit.ts'
import { createFactorId, type Factor } from '../src/users/factors/factor.ts'
import { createChallenge, creationOptions, verifyRegistration } from '../src/users/factors/passkey.ts'
import { createRecoveryCodes, digestRecoveryCodes } from '../src/users/factors/recovery_codes.ts'
import { createTotpSecret, sealTotpSecret, stepAt, totpCode } from '../src/users/factors/totp.ts'
import { createAuthenticator } from './_authenticator.ts'
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

/** @returns the authenticator that has it, and the factor */
export async function addPasskey(
  server: Server,
  userId: string,
  authenticator = createAuthenticator(new URL(server.deps.config.issuer).origin),
) {
  const { config, randomBytes, storage } = server.deps
  const [user, factors] = [await storage.findUser(userId), await storage.listFactors(userId)]
  const question = { relyingParty: config.relyingParty!, challenge: createChallenge(randomBytes) }
  const made = await verifyRegistration(question, authenticator.create(creationOptions(question, user!, factors)))
  const factor = await addFactor(server, { id: createFactorId(randomBytes), userId, kind: 'passkey', ...made })
  return { factor, authenticator }
}

export async function removeFactor({ deps: { storage }, clock }: Server, { id, userId }: Factor): Promise<void> {
  await storage.changeUser(userId, user => ({
    outcome: undefined,
    user: { ...user!, credentialVersion: user!.credentialVersion + 1 },
    factors: { remove: [id] },
    event: auditEvent('factor.removed', clock.now(), {}, { userId }),
  }))
}

/** With another credential version, as from every change of factors. */
export async function addFactor(
  { deps: { storage }, clock }: Server,
  given: Pick<Factor, 'id' | 'userId' | 'kind' | 'data'> & Partial<Factor>,
): Promise<Factor> {
  const factor = { counter: 0, ...given, createdAt: clock.now() }
  const { userId } = given
  await storage.changeUser(userId, user => ({
    outcome: undefined,
    user: { ...user!, credentialVersion: user!.credentialVersion + 1 },
    factors: { put: [factor] },
    event: auditEvent('factor.added', clock.now(), {}, { userId }),
  }))
  return factor
}

/** As if all sessions there are had proved a second factor. */
export async function proveInSessions({ deps: { storage }, clock }: Server): Promise<void> {
  for (const { id } of await storage.listLiveSessions({}, clock.now(), 100))
    await storage.changeSession(id, session => ({
      outcome: undefined,
      session: { ...session!, amr: ['pwd', 'otp', 'mfa'] },
    }))
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** @param secret in base32, as an enrolment shows it. @param at seconds since the epoch. @returns what an app shows then */
export function codeOf(secret: string, at: number): string {
  const bits = [...secret].map(character => base32.indexOf(character).toString(2).padStart(5, '0')).join('')
  return totpCode(Buffer.from(bits.match(/.{8}/g)!.map(byte => Number.parseInt(byte, 2))), stepAt(at))
}
