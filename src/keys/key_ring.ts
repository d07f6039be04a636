/** The keys of a process: which of them signs, which still verify, and the public JWK Set. RFC 7517 §5. */
import { type JwtType, type OpenedKey, signJws, verifyJws } from './jws.ts'
import { keyState, type SigningAlg } from './signing_key.ts'

/**
 * How many good tokens are remembered with their claims. One token is shown again and again, at each call of an app and each
 * introspection of a resource server, and its signature costs more than everything else that is done for it.
 */
const maxVerified = 4096

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
    sign: (claims, now, typ = 'at+jwt') => signJws(signingKey(now), claims, typ),
    verify(jwt, now) {
      const known = verified.get(jwt)
      if (known !== undefined && byHeader.get(known.key.encodedHeaders['at+jwt']) === known.key) {
        return keyState(known.key.stored, stored, now) === 'retired' ? undefined : known.claims
      }
      // A header that is not letter for letter one of ours is not ours: nothing the sender wrote chooses the
      // algorithm or the key (RFC 8725 §3.1).
      const key = byHeader.get(jwt.split('.', 1)[0]!)
      if (key === undefined || keyState(key.stored, stored, now) === 'retired') return undefined
      const claims = verifyJws(key, jwt)
      if (claims === undefined) return undefined
      if (verified.size >= maxVerified) verified.delete(verified.keys().next().value!)
      verified.set(jwt, { key, claims })
      return claims
    },
    jwks(now) {
      return JSON.stringify({ keys: published(now).map(key => key.publicJwk) })
    },
  }
}
