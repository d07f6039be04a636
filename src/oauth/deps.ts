/** What the protocol needs from outside: everything that a test substitutes or that differs between deployments. */

import type { Refusals } from '../audit/refusals.ts'
import type { RemoteKeys } from '../clients/client_assertion.ts'
import type { KeyRing } from '../keys/key_ring.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { Observer } from '../observer.ts'
import type { Brand } from '../pages/brand.ts'
import type { Language } from '../pages/language.ts'
import type { LifetimeSettings } from '../sessions/lifetimes.ts'
import type { Storage } from '../storage/storage.ts'
import type { Throttle } from '../throttle/throttle.ts'
import type { RelyingParty } from '../users/factors/relying_party.ts'
import type { Passwords } from '../users/password.ts'
import type { PasswordSettings } from '../users/password_rules.ts'
import type { SignInBy } from '../users/user.ts'

export type OAuthConfig = LifetimeSettings &
  PasswordSettings &
  Readonly<{
    /** Without a final slash; the endpoints are below it. */
    issuer: string
    /** `aud` of access tokens. */
    audience: readonly string[]
    /** The most live sessions of one user and client. */
    sessionLimit: number
    /** By what users are found at a sign-in. */
    signInBy: SignInBy
    /** Whose passkeys are; undefined where there can be none. */
    relyingParty: RelyingParty | undefined
    /** Whether mails are sent: without them nobody can do what needs one. */
    hasMail: boolean
    /** Of mails to users who have chosen none. */
    mailLanguage: Language
    /** Whether people may make accounts of their own. */
    signUp: boolean
  }>

export type Deps = Readonly<{
  config: OAuthConfig
  /** Whose pages and mails these are. */
  brand: Brand
  storage: Storage
  secrets: MasterSecrets
  keyRing: KeyRing
  passwords: Passwords
  throttle: Throttle
  refusals: Refusals
  /** Keys of clients that publish them at a `jwks_uri`. Rejects with an AssertionError when they cannot be had. */
  remoteJwks: (uri: string) => RemoteKeys
  /** Told what becomes of requests. */
  observer: Observer
  /** What it has counted, as text; nothing where nobody counts. */
  metrics: () => Promise<string>
  /** Seconds since the epoch, an integer. */
  now: () => number
  randomBytes: (size: number) => Buffer
}>
