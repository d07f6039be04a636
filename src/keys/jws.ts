/**
 * Signing and verifying compact JWSs with keys in memory, by Node's own primitives, which are synchronous. RFC 7515, RFC 7518 §3.4 and
 * RFC 8037.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { MasterSecrets } from './master_secret.ts'
import { decryptPrivateJwk, type SigningKey } from './signing_key.ts'

/** RFC 9068 §2.1, OpenID Connect Core §2, RFC 9701 §5: the type keeps the JWTs of this issuer apart. */
const jwtTypes = ['at+jwt', 'JWT', 'token-introspection+jwt'] as const
export type JwtType = (typeof jwtTypes)[number]

/** A key in memory, ready to sign and verify. */
export type OpenedKey = Readonly<{
  stored: SigningKey
  privateKey: KeyObject
  publicKey: KeyObject
  /** The encoded protected headers of what this key signs. */
  encodedHeaders: Readonly<Record<JwtType, string>>
}>

/** @returns undefined when none of the master secrets opens it */
export async function openSigningKey(stored: SigningKey, secrets: MasterSecrets): Promise<OpenedKey | undefined> {
  const privateJwk = await decryptPrivateJwk(stored.privateJwe, secrets)
  if (privateJwk === undefined) return undefined
  const encodedHeaders = jwtTypes.map(typ => {
    const header = JSON.stringify({ alg: stored.alg, typ, kid: stored.kid })
    return [typ, Buffer.from(header).toString('base64url')]
  })
  return {
    stored,
    privateKey: createPrivateKey({ key: privateJwk, format: 'jwk' }),
    publicKey: createPublicKey({ key: stored.publicJwk, format: 'jwk' }),
    encodedHeaders: Object.fromEntries(encodedHeaders),
  }
}

/** @returns a compact JWS of claims */
export function signJws(key: OpenedKey, claims: object, typ: JwtType): string {
  const signed = `${key.encodedHeaders[typ]}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${signed}.${signText(key, signed).toString('base64url')}`
}

/**
 * @param key the one that the header of the JWS is of
 * @returns its claims, or undefined when it is malformed or its signature is not good
 */
export function verifyJws(key: OpenedKey, jws: string): unknown {
  const [encodedHeader = '', encodedClaims = '', encodedSignature = '', ...rest] = jws.split('.', 4)
  const signature = Buffer.from(encodedSignature, 'base64url')
  if (rest.length > 0 || signature.toString('base64url') !== encodedSignature) return undefined
  if (!verifyText(key, `${encodedHeader}.${encodedClaims}`, signature)) return undefined
  return JSON.parse(Buffer.from(encodedClaims, 'base64url').toString())
}

function signText(key: OpenedKey, text: string): Buffer {
  const bytes = Buffer.from(text)
  switch (key.stored.alg) {
    case 'ES256':
      // Node's own `ieee-p1363` output costs twice the signature: DER and a few copies do not.
      return rawFromDer(sign('sha256', bytes, key.privateKey))
    case 'EdDSA':
      return sign(null, bytes, key.privateKey)
    case 'RS256':
      return sign('sha256', bytes, key.privateKey)
  }
}

function verifyText(key: OpenedKey, text: string, signature: Buffer): boolean {
  const bytes = Buffer.from(text)
  switch (key.stored.alg) {
    case 'ES256':
      return signature.length === 64 && verify('sha256', bytes, key.publicKey, derFromRaw(signature))
    case 'EdDSA':
      return verify(null, bytes, key.publicKey, signature)
    case 'RS256':
      return verify('sha256', bytes, key.publicKey, signature)
  }
}

/** ECDSA-Sig-Value (RFC 3279 §2.2.3) of P-256 to r ‖ s (RFC 7518 §3.4). Every length fits one byte. */
function rawFromDer(der: Buffer): Buffer {
  const raw = Buffer.alloc(64)
  const rLength = der[3]!
  const sLength = der[5 + rLength]!
  copyRight(der.subarray(4, 4 + rLength), raw, 32)
  copyRight(der.subarray(6 + rLength, 6 + rLength + sLength), raw, 64)
  return raw
}

/** Copies a DER integer so that it ends at `end`, without the zero byte that DER puts before a high bit. */
function copyRight(integer: Buffer, target: Buffer, end: number): void {
  const start = integer.length === 33 ? 1 : 0
  integer.copy(target, end - integer.length + start, start)
}

function derFromRaw(raw: Buffer): Buffer {
  const r = derInteger(raw.subarray(0, 32))
  const s = derInteger(raw.subarray(32))
  return Buffer.concat([Buffer.from([0x30, r.length + s.length]), r, s])
}

function derInteger(bytes: Buffer): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const digits = bytes.subarray(start)
  const padding = digits[0]! >= 0x80 ? [0] : []
  return Buffer.concat([Buffer.from([0x02, digits.length + padding.length, ...padding]), digits])
}
