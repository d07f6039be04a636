/** What the protocol needs from outside: everything that a test substitutes or that differs between deployments. */
import type { KeyRing } from './keys.ts'
import type { MasterSecrets } from './master_secret.ts'
import type { Passwords } from './password.ts'
import type { RefreshPolicy } from './session.ts'
import type { Storage } from './storage.ts'

/** Lifetimes are seconds. */
export type OAuthConfig = Readonly<{
  /** Without a final slash; the endpoints are below it. */
  issuer: string
  /** `aud` of access tokens. */
  audience: readonly string[]
  accessTokenLifetime: number
  refresh: RefreshPolicy
}>

export type Deps = Readonly<{
  config: OAuthConfig
  storage: Storage
  secrets: MasterSecrets
  keyRing: KeyRing
  passwords: Passwords
  /** Seconds since the epoch, an integer. */
  now: () => number
  randomBytes: (size: number) => Buffer
}>
