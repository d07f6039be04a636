/**
 * The `auth_session` of draft-ietf-oauth-first-party-apps-04 §5.3.1: what a sign-in that needs one more proof has come to. All of it is
 * in the token, which only this server can read; the database knows only what counts once.
 */
import { OAuthError } from '../error.ts'
import { decryptToken, type EncryptedFormat, encryptToken } from '../keys/encrypted_token.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { secretNameOf } from '../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../keys/secret_use.ts'
import type { KeyStorage, OnceStorage } from '../keys/storage.ts'
import type { MailLink } from '../mail/link.ts'
import type { Acr } from '../sessions/assurance.ts'
import type { UserStorage } from '../users/storage.ts'
import type { User } from '../users/user.ts'

/** Seconds that a person has for the next proof. */
export const authSessionLifetime = 300
/** Wrong proofs that end it. */
export const maxWrongProofs = 5

/** Instants are seconds since the epoch. */
export type AuthSession = Readonly<{
  /** 22 base64url characters. A challenge for a passkey is made of it. */
  id: string
  clientId: string
  /** Who it is; undefined where nothing has been proved. */
  user?: Readonly<{
    id: string
    /** As it was when something was proved: with other credentials, or other factors, this is over. */
    credentialVersion: number
  }>
  /** What has been proved, RFC 8176. */
  amr: readonly string[]
  /** The session that one more proof raises, where that is what it is for. */
  sessionId?: string
  /** The password that is set when one more proof has come, where that is what it is for: nobody is signed in by it then. */
  reset?: Readonly<{ link: MailLink; passwordHash: string }>
  /** What the requests so far asked for, which the next one need not say again. */
  request?: AuthorizationRequest
  expiresAt: number
}>

/** One that resets a password. */
export type ResetSession = AuthSession & Readonly<{ reset: NonNullable<AuthSession['reset']> }>

/** What an authorization request asks for, as it was read. */
export type AuthorizationRequest = Readonly<{
  /** Granted by the client's record; absent: all that it may have. */
  scope?: string | undefined
  resources?: readonly string[] | undefined
  device?: string | undefined
  /** RFC 7636, S256: 43 base64url characters. */
  codeChallenge?: string | undefined
  nonce?: string | undefined
  /** Classes of which one is to be reached; absent where each will do. */
  acrValues?: readonly Acr[] | undefined
}>

/** The longest is that of a request with as many parameters as a body has room for. */
const format: EncryptedFormat = { prefix: 'lka_', maxLength: 16 * 1024, key: secret => secret.authSessionKey }

type FormatDeps = Readonly<{ secrets: MasterSecrets; randomBytes: (size: number) => Buffer; now: () => number }>

/** @returns an auth session that begins now, with an id of its own */
export function createAuthSession(
  { randomBytes, now }: Pick<FormatDeps, 'randomBytes' | 'now'>,
  given: Omit<AuthSession, 'id' | 'expiresAt'>,
): AuthSession {
  return { ...given, id: randomBytes(16).toString('base64url'), expiresAt: now() + authSessionLifetime }
}

/** @returns `lka_` and base64url characters; a secret: never stored, never logged */
export function formatAuthSession(
  authSession: AuthSession,
  { secrets, randomBytes }: Pick<FormatDeps, 'secrets' | 'randomBytes'>,
): string {
  return encryptToken(format, JSON.stringify(authSession), secrets, randomBytes)
}

/** @returns what an authentic one says, which may be over, or undefined for any other text */
export function parseAuthSession(text: string, secrets: MasterSecrets): AuthSession | undefined {
  const payload = decryptToken(format, text, secrets)
  // Only this server makes one, so what can be read has the shape that we gave it.
  return payload === undefined ? undefined : JSON.parse(payload)
}

export type AuthSessionDeps = Readonly<{
  secrets: MasterSecrets
  storage: OnceStorage & Pick<KeyStorage, 'listMasterSecretUses'>
  now: () => number
}>

/**
 * Reads one that came with a request. That its user still has those credentials is asked where the user is read.
 *
 * @throws OAuthError `invalid_session`, in the same words for another client's and for one that is expired, used up or none
 */
export async function openAuthSession(deps: AuthSessionDeps, text: string, clientId: string): Promise<AuthSession> {
  const authSession = await openAny(deps, text, clientId)
  if (authSession.reset !== undefined) refuseAuthSession('of a password that is reset')
  return authSession
}

/** The same of one that resets a password, which signs nobody in. */
export async function openResetSession(deps: AuthSessionDeps, text: string, clientId: string): Promise<ResetSession> {
  const authSession = await openAny(deps, text, clientId)
  const { reset } = authSession
  return reset === undefined ? refuseAuthSession('of a sign-in') : { ...authSession, reset }
}

async function openAny(deps: AuthSessionDeps, text: string, clientId: string): Promise<AuthSession> {
  const authSession = parseAuthSession(text, deps.secrets)
  if (authSession === undefined) await insistThatNoOtherHas(deps, secretNameOf(text))
  if (authSession === undefined) refuseAuthSession('not an auth_session of this server')
  if (authSession.clientId !== clientId) refuseAuthSession('of another client')
  if (deps.now() >= authSession.expiresAt) refuseAuthSession('expired')
  if (await deps.storage.isConsumed(overId(authSession))) refuseAuthSession('used up')
  return authSession
}

/**
 * Ends it, for it counts once. To be called when all else is right, before what it lets in.
 *
 * @throws OAuthError `invalid_session` when another request was first
 */
export async function consumeAuthSession({ storage }: AuthSessionDeps, authSession: AuthSession): Promise<void> {
  if (!(await storage.consumeOnce(overId(authSession), authSession.expiresAt))) refuseAuthSession('used up')
}

/**
 * Takes one of the tries that it has, of who has proved something: each is a row. To be called before a proof is looked at, so that of many at once no more are heard.
 *
 * @returns how many are left then
 * @throws OAuthError `invalid_session` when there is none left
 */
export async function takeTry({ storage }: AuthSessionDeps, authSession: AuthSession): Promise<number> {
  for (let n = 1; n <= maxWrongProofs; n++)
    if (await storage.consumeOnce(`${overId(authSession)} ${n}`, authSession.expiresAt)) return maxWrongProofs - n
  return refuseAuthSession('too many wrong proofs')
}

/**
 * Its user, with the credentials and factors that there were when it began.
 *
 * @throws OAuthError `invalid_session` when they are others, or the user is gone or disabled
 */
export async function userOfAuthSession(
  { storage }: Readonly<{ storage: UserStorage }>,
  { user: known }: AuthSession,
): Promise<User | undefined> {
  if (known === undefined) return undefined
  const user = await storage.findUser(known.id)
  if (user === undefined || user.disabledAt !== undefined || user.credentialVersion !== known.credentialVersion)
    refuseAuthSession('the credentials have changed')
  return user
}

export function refuseAuthSession(cause: string): never {
  throw new OAuthError('invalid_session', 'the auth_session is expired, used or not valid; start again', { cause })
}

const overId = ({ id }: AuthSession) => `auth_session ${id}`
