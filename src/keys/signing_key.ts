/**
 * Signing keys: the record, what each is at a given moment, and the encryption of its private half. A key is published before it
 * signs, so that caches know it, and stays published until its last token has expired. RFC 7517, RFC 7638 (thumbprints as `kid`).
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
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
/** Seconds, the same for a key that nobody waits for: clocks of nodes that are minutes apart leave enough of it. */
export const unhurriedLead = 3600
/** Seconds, the same for a key of another algorithm: express-oauth2-jwt-bearer keeps the metadata that names it for 600 s. */
export const newAlgLead = 600 + 30
/** Seconds. No access token lives longer, so this is how long a key must outlive its last signature. */
export const maxAccessTokenLifetime = 86_400

/** What a key is now: pure, so every node that sees the same keys agrees. Exactly one key signs once one has activated. */
export function keyState(key: SigningKey, all: readonly SigningKey[], now: number): KeyState {
  if (key.activatesAt > now) {
    // A clock that was set back to before the first key: that one signs all the same.
    return all.some(other => other.activatesAt <= now || isLater(key, other)) ? 'published' : 'signing'
  }
  const successors = all.filter(other => isLater(other, key) && other.activatesAt <= now)
  if (successors.length === 0) return 'signing'
  const stoppedAt = Math.min(...successors.map(({ activatesAt }) => activatesAt))
  return now < stoppedAt + maxAccessTokenLifetime + publicationLead ? 'verifying' : 'retired'
}

/** @param keys in the order of their making. @param kid undefined for none */
export function isNewest(keys: readonly SigningKey[], kid: string | undefined): boolean {
  return keys.at(-1)?.kid === kid
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

/** @returns undefined when none of the master secrets opens it */
export async function decryptPrivateJwk(jwe: string, secrets: MasterSecrets): Promise<JWK | undefined> {
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
