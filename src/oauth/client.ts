/** Clients: the applications that may ask for tokens. RFC 6749 §2. */
import { userIdPrefix } from './user.ts'

export type Client = Readonly<{
  id: string
  /** Made by `digestClientSecret`; absent for a public client. */
  secretDigest?: string | undefined
  grantTypes: readonly string[]
  /** Space-separated: the most a request of this client can be granted, and the default. */
  scope: string
  createdAt: number
  disabledAt?: number | undefined
}>

/** Parameters of a form: one non-empty string each. */
export type Params = Readonly<Partial<Record<string, string>>>

const clientSecretPrefix = 'lks_'

/** @returns `lks_` and 43 base64url characters; shown once, stored as a digest */
export function createClientSecret(randomBytes: (size: number) => Buffer): string {
  return clientSecretPrefix + randomBytes(32).toString('base64url')
}

/** @returns true for 1 to 64 unreserved URI characters that cannot be taken for a user's id */
export function isClientId(text: string): boolean {
  return /^[A-Za-z0-9._~-]{1,64}$/.test(text) && !text.startsWith(userIdPrefix)
}
