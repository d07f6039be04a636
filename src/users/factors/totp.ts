/** Time-based one-time passwords: RFC 6238, on RFC 4226. What every authenticator app takes: SHA-1, six digits, 30 seconds. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { OAuthError } from '../../error.ts'
import type { MasterSecrets } from '../../keys/master_secret.ts'
import { type KeyOf, openText, sealedUnder, sealText } from '../../keys/sealed_text.ts'
import type { Factor, FactorUse } from './factor.ts'

/** Seconds. */
export const timeStep = 30
const digits = 6
/** Steps before and after that of now: a person needs time to type (RFC 6238 §5.2), and a phone's clock may be ahead. */
const tolerance = 1
/** Steps at which the clock of a phone is looked for when it has been set wrong: ten minutes. */
const maxDrift = 20
/** Bytes: RFC 4226 §4 recommends 160 bits. */
export const secretLength = 20

const keyOf: KeyOf = secret => secret.factorKey

export const createTotpSecret = (randomBytes: (size: number) => Buffer): Buffer => randomBytes(secretLength)

/** The secret as the database keeps it. @param id of its factor, to which it is bound */
export function sealTotpSecret(
  secret: Buffer,
  id: string,
  secrets: MasterSecrets,
  randomBytes: (size: number) => Buffer,
): string {
  return sealText(secret.toString('base64url'), id, keyOf, secrets, randomBytes)
}

/** @returns undefined when the master secret that it is sealed under is gone */
export function openTotpSecret({ id, data }: Pick<Factor, 'id' | 'data'>, secrets: MasterSecrets): Buffer | undefined {
  const text = openText(data, id, keyOf, secrets)
  return text === undefined ? undefined : Buffer.from(text, 'base64url')
}

/** RFC 4226 §5.3. @param step how many steps since the epoch */
export function totpCode(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const offset = mac.at(-1)! & 0x0f
  const number = (mac.readUInt32BE(offset) & 0x7f_ff_ff_ff) % 10 ** digits
  return String(number).padStart(digits, '0')
}

/** @param code as it was typed: with white space, as apps show it in groups. @returns the six digits, undefined for anything else */
export function readTotpCode(code: string): string | undefined {
  if (code.length > 32) return undefined
  const typed = code.replace(/[ \u00a0\u2009\u202f-]/g, '')
  return /^[0-9]{6}$/.test(typed) ? typed : undefined
}

/**
 * @param now seconds since the epoch
 * @returns the step whose code it is, the last one of several; undefined when it is none of about now
 */
export function matchTotp(secret: Buffer, code: string, now: number): number | undefined {
  return matchAround(secret, code, now, tolerance)
}

/**
 * For an enrolment, whose code is refused: whether it is that of another time, as when a clock has been set wrong.
 *
 * @returns seconds by which the clock of the code is ahead, about; undefined when it is the code of no time near
 */
export function driftOf(secret: Buffer, code: string, now: number): number | undefined {
  const step = matchAround(secret, code, now, maxDrift)
  return step === undefined ? undefined : (step - stepAt(now)) * timeStep
}

export const stepAt = (now: number) => Math.floor(now / timeStep)

/** Computes as much whichever step it is. */
function matchAround(secret: Buffer, code: string, now: number, steps: number): number | undefined {
  const typed = readTotpCode(code)
  if (typed === undefined) return undefined
  const given = Buffer.from(typed)
  let found: number | undefined
  for (let step = stepAt(now) - steps; step <= stepAt(now) + steps; step++)
    if (timingSafeEqual(Buffer.from(totpCode(secret, step)), given)) found = step
  return found
}

/**
 * Verifies a code. That it has not been used yet is decided by `spend`, in the transaction of what it lets in.
 *
 * @returns undefined for a wrong code
 * @throws OAuthError `temporarily_unavailable` when the secret is under a master secret that this node does not have
 */
export function verifyTotp(factor: Factor, code: string, secrets: MasterSecrets, now: number): FactorUse | undefined {
  const secret = openTotpSecret(factor, secrets)
  if (secret === undefined)
    throw new OAuthError('temporarily_unavailable', 'this node does not have the master secret of the code', {
      cause: `factor ${factor.id} is under master secret ${sealedUnder(factor.data)}`,
      retryAfter: 10,
    })
  const step = matchTotp(secret, code, now)
  if (step === undefined || step <= factor.counter) return undefined
  return { factorId: factor.id, kind: 'totp', at: now, step }
}

const base32Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 §6, without padding: what a person can type into an app. */
export function base32(bytes: Buffer): string {
  let [text, bits, value] = ['', 0, 0]
  for (const byte of bytes) {
    value = (value << 8) | byte
    for (bits += 8; bits >= 5; bits -= 5) text += base32Alphabet[(value >>> (bits - 5)) & 31]
    value &= (1 << bits) - 1
  }
  return bits === 0 ? text : text + base32Alphabet[(value << (5 - bits)) & 31]
}

/**
 * What the QR code of an enrolment says: the Key URI Format of authenticator apps.
 *
 * @param issuer what the app shows above the code: a name, no URL
 */
export function otpauthUri(secret: Buffer, issuer: string, username: string): string {
  // A colon parts the two in the label, and a plus sign is no space here.
  const label = [issuer, username].map(part => encodeURIComponent(part.replaceAll(':', ' '))).join(':')
  return `otpauth://totp/${label}?secret=${base32(secret)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${digits}&period=${timeStep}`
}
