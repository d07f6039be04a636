/**
 * Signing keys: what each is at a given moment, rotation without a gap, the public JWK Set, signing and verifying.
 * A key is published before it signs, so that caches know it, and stays published until its last token has expired.
 * RFC 7515, RFC 7517, RFC 7638 (thumbprints as `kid`), RFC 7518 §3.4 and RFC 8037 (signatures).
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { CompactEncrypt, calculateJwkThumbprint, compactDecrypt, decodeProtectedHeader, type JWK } from 'jose'
import type { MasterSecrets } from './master_secret.ts'

/** ES256 is what nearly every library takes; RS256 is for those that take nothing else; many take no EdDSA. */
export const signingAlgs = ['ES256', 'EdDSA', 'RS256'] as const
export type SigningAlg = (typeof signingAlgs)[number]

/** As stored. Instants are seconds since the epoch. */
export type SigningKey = Readonly<{
  /** RFC 7638 thumbprint: 43 base64url characters. */
  kid: string
  alg: SigningAlg
  /** The member of the JWK Set; has public members only. */
  publicJwk: JWK
  /** Compact JWE of the private JWK under a key derived from the master secret, which its `kid` header names. */
  privateJwe: string
  createdAt: number
  activatesAt: number
}>

export type KeyState = 'published' | 'signing' | 'verifying' | 'retired'

/** Seconds. The `max-age` of the JWK Set: how long others may go without asking again. */
export const jwksMaxAge = 300
/** Seconds between creation and first signature: jose asks again after 30 s at the soonest, go-oidc after `max-age`. */
export const publicationLead = jwksMaxAge + 30
/** Seconds, the same for a key of another algorithm: express-oauth2-jwt-bearer keeps the metadata that names it for 600 s. */
export const newAlgLead = 600 + 30
/** Seconds. No access token lives longer, so this is how long a key must outlive its last signature. */
export const longestAccessTokenLifetime = 86_400

/** What a key is now: pure, so every node that sees the same keys agrees. Exactly one key signs once one has activated. */
export function keyState(key: SigningKey, all: readonly SigningKey[], now: number): KeyState {
  if (key.activatesAt > now) {
    // A clock that was set back to before the first key: that one signs all the same.
    return all.some(other => other.activatesAt <= now || isLater(key, other)) ? 'published' : 'signing'
  }
  const successors = all.filter(other => isLater(other, key) && other.activatesAt <= now)
  if (successors.length === 0) return 'signing'
  const stoppedAt = Math.min(...successors.map(({ activatesAt }) => activatesAt))
  return now < stoppedAt + longestAccessTokenLifetime + publicationLead ? 'verifying' : 'retired'
}

/**
 * Makes a key pair.
 *
 * @param activatesAt seconds since the epoch; `now` only for the first key, which no cache can have missed
 */
export async function createSigningKey(
  alg: SigningAlg,
  secrets: MasterSecrets,
  now: number,
  activatesAt: number,
): Promise<SigningKey> {
  const { publicKey, privateKey } = generateKeyPair(alg)
  // The public members by name: nothing private can slip through a member that was not thought of.
  const { kty, crv, x, y, n, e } = publicKey.export({ format: 'jwk' }) as JWK
  const material = definedMembers({ kty, crv, x, y, n, e })
  const kid = await calculateJwkThumbprint(material)
  const privateJwe = await encryptPrivateJwk(privateKey.export({ format: 'jwk' }), secrets)
  return { kid, alg, publicJwk: { ...material, use: 'sig', alg, kid }, privateJwe, createdAt: now, activatesAt }
}

/** @returns the name of the master secret that a key is encrypted under */
export function masterSecretOf({ privateJwe }: SigningKey): string {
  return String(decodeProtectedHeader(privateJwe).kid)
}

/** @returns the JWE of the same private key under the newest master secret, or undefined when none of them opens it */
export async function reencryptSigningKey(
  { privateJwe }: SigningKey,
  secrets: MasterSecrets,
): Promise<string | undefined> {
  const privateJwk = await decryptPrivateJwk(privateJwe, secrets)
  return privateJwk && encryptPrivateJwk(privateJwk, secrets)
}

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

/**
 * How many good tokens are remembered with their claims. One token is shown again and again, at each call of an app and each
 * introspection of a resource server, and its signature costs more than everything else that is done for it.
 */
const mostVerified = 4096

/** The keys of this process: {@link KeyRing.replace | replaced} whole when the storage has other ones. */
export type KeyRing = Readonly<{
  keys: () => readonly OpenedKey[]
  replace: (keys: readonly OpenedKey[]) => void
  /** The algorithms of the published keys. */
  algs: (now: number) => readonly SigningAlg[]
  /** The algorithm that {@link KeyRing.sign} uses at this moment. */
  signingAlg: (now: number) => SigningAlg
  /** Signs claims, those of an access token unless told otherwise. @returns a compact JWS */
  sign: (claims: object, now: number, typ?: JwtType) => string
  /** @returns the claims of an access token with a good signature by a key that is not retired; its times are not looked at */
  verify: (jwt: string, now: number) => unknown
  /** The JWK Set of the moment, RFC 7517 §5, as JSON text. */
  jwks: (now: number) => string
}>

export function createKeyRing(initial: readonly OpenedKey[]): KeyRing {
  let keys = initial
  let stored = keys.map(key => key.stored)
  let byHeader = new Map(keys.map(key => [key.encodedHeaders['at+jwt'], key]))
  const verified = new Map<string, { key: OpenedKey; claims: unknown }>()

  const published = (now: number) => stored.filter(key => keyState(key, stored, now) !== 'retired')

  function signingKey(now: number): OpenedKey {
    const key = keys.find(candidate => keyState(candidate.stored, stored, now) === 'signing')
    if (key === undefined) throw new Error('no signing key is active')
    return key
  }

  return {
    keys: () => keys,
    replace(newKeys) {
      keys = newKeys
      stored = keys.map(key => key.stored)
      byHeader = new Map(keys.map(key => [key.encodedHeaders['at+jwt'], key]))
    },
    algs: now => [...new Set(published(now).map(({ alg }) => alg))],
    signingAlg: now => signingKey(now).stored.alg,
    sign(claims, now, typ = 'at+jwt') {
      const key = signingKey(now)
      const signed = `${key.encodedHeaders[typ]}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
      return `${signed}.${signText(key, signed).toString('base64url')}`
    },
    verify(jwt, now) {
      const known = verified.get(jwt)
      if (known !== undefined && byHeader.get(known.key.encodedHeaders['at+jwt']) === known.key) {
        return keyState(known.key.stored, stored, now) === 'retired' ? undefined : known.claims
      }
      const [encodedHeader = '', encodedClaims = '', encodedSignature = '', ...rest] = jwt.split('.', 4)
      // A header that is not letter for letter one of ours is not ours: nothing the sender wrote chooses the
      // algorithm or the key (RFC 8725 §3.1).
      const key = byHeader.get(encodedHeader)
      if (key === undefined || rest.length > 0 || keyState(key.stored, stored, now) === 'retired') return undefined
      const signature = Buffer.from(encodedSignature, 'base64url')
      if (signature.toString('base64url') !== encodedSignature) return undefined
      if (!verifyText(key, `${encodedHeader}.${encodedClaims}`, signature)) return undefined
      const claims = JSON.parse(Buffer.from(encodedClaims, 'base64url').toString())
      if (verified.size >= mostVerified) verified.delete(verified.keys().next().value!)
      verified.set(jwt, { key, claims })
      return claims
    },
    jwks(now) {
      return JSON.stringify({ keys: published(now).map(key => key.publicJwk) })
    },
  }
}

function isLater(a: SigningKey, b: SigningKey): boolean {
  return a.activatesAt > b.activatesAt || (a.activatesAt === b.activatesAt && a.kid > b.kid)
}

function generateKeyPair(alg: SigningAlg): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (alg) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    case 'EdDSA':
      return generateKeyPairSync('ed25519')
    case 'RS256':
      return generateKeyPairSync('rsa', { modulusLength: 2048 })
  }
}

function definedMembers(jwk: Record<string, string | undefined>): JWK {
  return Object.fromEntries(Object.entries(jwk).filter(([, value]) => value !== undefined)) as JWK
}

function encryptPrivateJwk(privateJwk: object, [newest]: MasterSecrets): Promise<string> {
  return new CompactEncrypt(Buffer.from(JSON.stringify(privateJwk)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: newest.name })
    .encrypt(newest.signingKeyKey)
}

async function decryptPrivateJwk(jwe: string, secrets: MasterSecrets): Promise<JWK | undefined> {
  for (const secret of secrets) {
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(jwe, secret.signingKeyKey)
      if (protectedHeader.kid === secret.name) return JSON.parse(Buffer.from(plaintext).toString())
    } catch {
      // Not made under this secret: the next one may open it.
    }
  }
  return undefined
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
