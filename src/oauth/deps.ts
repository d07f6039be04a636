/** What the protocol needs from outside: everything that a test substitutes or that differs between deployments. */
import type { Throttle } from './attempts.ts'
import type { RemoteKeys } from './client_assertion.ts'
import type { KeyRing } from './keys.ts'
import type { MasterSecrets } from './master_secret.ts'
import type { Passwords } from './password.ts'
import type { Refusals } from './refusals.ts'
import type { RefreshPolicy } from './session.ts'
import type { Storage } from './storage.ts'

/** Lifetimes are seconds. */
export type OAuthConfig = Readonly<{
  /** Without a final slash; the endpoints are below it. */
  issuer: string
  /** `aud` of access tokens. */
  audience: readonly string[]
  accessTokenLifetime: number
  /** The most live sessions of one user and client. */
  sessionLimit: number
  /** `lateRetryWindow` is the idle lifetime of the session where it is not set. */
  refresh: Omit<RefreshPolicy, 'lateRetryWindow'> & { lateRetryWindow?: number | undefined }
}>

export type Deps = Readonly<{
  config: OAuthConfig
  storage: Storage
  secrets: MasterSecrets
  keyRing: KeyRing
  passwords: Passwords
  throttle: Throttle
  refusals: Refusals
  /** Keys of clients that publish them at a `jwks_uri`. Rejects with an AssertionError when they cannot be had. */
  remoteJwks: (uri: string) => RemoteKeys
  /** Seconds since the epoch, an integer. */
  now: () => number
  randomBytes: (size: number) => Buffer
}>
