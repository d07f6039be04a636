/**
 * The steps of a sign-in with a cookie after the right password: one more proof, or a factor to be set up first. What has been proved is in
 * the `auth_session`, on the page or with the program: this server keeps nothing of it.
 */
import type { Client, Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import {
  type AuthSession,
  consumeAuthSession,
  createAuthSession,
  formatAuthSession,
  openAuthSession,
  refuseAuthSession,
  takeTry,
  userOfAuthSession,
} from '../../oauth/auth_session.ts'
import type { Deps } from '../../oauth/deps.ts'
import { nextProofMembers, passkeyQuestion, storeBetterHash } from '../../oauth/next_proof.ts'
import { addTotpPage } from '../../pages/add_factor.ts'
import { type Proof, proofs } from '../../pages/ask_factor.ts'
import { codesPage } from '../../pages/codes.ts'
import { addAmr } from '../../sessions/assurance.ts'
import { confirmEnrollment } from '../../sessions/enrollment.ts'
import { factorError } from '../../sessions/factor_error.ts'
import type { FactorsOwed } from '../../sessions/factors_owed.ts'
import { type Factor, isSecondFactor } from '../../users/factors/factor.ts'
import { givenProof, proveFactor } from '../../users/factors/prove.ts'
import { signInByPasskey } from '../../users/sign_in_by_passkey.ts'
import type { User } from '../../users/user.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import type { RefusedByPage } from '../endpoint.ts'
import { sendJson } from '../json.ts'
import { type AskedPage, askPage, choicesOf, refuseTheLast } from './ask_factor.ts'
import { sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { beginByCookie, type SignIn, sendSignedIn, signInClient } from './sign_in.ts'
import { codeProblemOf, type EnrollmentState, totpToShow, totpView } from './totp_enrollment.ts'

/** A sign-in that has come as far as its `auth_session` says. */
type Underway = Readonly<{
  client: Client
  authSession: AuthSession
  text: string
  user: User
  factors: readonly Factor[]
}>

/**
 * Asks for what a sign-in owes after the first proof. The page is no refusal, and has a status that says so: a password manager keeps the
 * password of a form that it was answered to.
 *
 * @throws OAuthError `insufficient_authorization` to a program
 */
export async function askForFactor(
  signIn: SignIn,
  { authentication, owed, message, members }: FactorsOwed,
): Promise<undefined> {
  const { deps, ctx } = signIn
  const client = await signInClient(deps)
  const { user, amr, passwordHash } = authentication
  // Nobody knows the password any more where the session begins that it would be stored with.
  if (passwordHash !== undefined) await storeBetterHash(deps, authentication, passwordHash)
  const authSession = createAuthSession(deps, {
    clientId: client.id,
    user: { id: user.id, credentialVersion: user.credentialVersion },
    amr,
  })
  const factors = await deps.storage.listFactors(user.id)
  if (!wantsPage(ctx)) {
    const next = nextProofMembers(deps, authSession, owed.kinds, factors)
    throw new OAuthError('insufficient_authorization', message, { members: { ...members, ...next } })
  }
  const text = formatAuthSession(authSession, deps)
  const underway = { client, authSession, text, user, factors }
  if (owed.mustEnroll) sendPage(ctx, await enrollmentPage(signIn, underway))
  else sendPage(ctx, factorPage(signIn, underway, {}))
}

/**
 * The request after that: with a proof, or from the page that wants another kind of one.
 *
 * @throws OAuthError `invalid_session` when it is over; to a program also what is wrong with the proof
 */
export async function goOnSigningIn(signIn: SignIn, params: Params): Promise<RefusedByPage | undefined> {
  const { deps, ctx } = signIn
  const client = await signInClient(deps)
  const text = params.auth_session ?? ''
  const authSession = await openAuthSession(deps, text, client.id)
  // One that raises a session signs nobody in.
  if (authSession.sessionId !== undefined) refuseAuthSession('of a session')
  const user = await userOfAuthSession(deps, authSession)
  if (user === undefined) return await signInByPasskeyAlone(signIn, client, authSession, params)
  const factors = await deps.storage.listFactors(user.id)
  const underway: Underway = { client, authSession, text, user, factors }
  if (!factors.some(isSecondFactor)) return await enroll(signIn, underway, params)
  const refuse = (failure: OAuthError, view: AskedPage): RefusedByPage => ({
    failure,
    page: wantsPage(ctx) ? factorPage(signIn, underway, view) : undefined,
  })
  const given = givenProof(params)
  if (given === undefined) {
    const asked = askedBy(params)
    if (asked !== undefined && wantsPage(ctx)) {
      sendPage(ctx, factorPage(signIn, underway, { asked }))
      return undefined
    }
    const names = choicesOf(deps, factors).join(' or ')
    return refuse(new OAuthError('invalid_request', `${names} is missing`), {
      asked: askedBy(params),
      problem: 'missing',
    })
  }
  try {
    const left = await takeTry(deps, authSession)
    const asked = passkeyQuestion(deps, authSession)
    const prover = { userId: user.id, factors, asked, clientId: client.id }
    const proof = await proveFactor(deps, prover, given, callerOf(ctx)).catch(error => refuseTheLast(error, left))
    await consumeAuthSession(deps, authSession)
    const amr = addAmr(authSession.amr, proof.amr)
    await beginByCookie(signIn, client, { user, amr, at: deps.now(), uses: [proof.use] })
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    if (error.code === 'invalid_grant') return refuse(error, { asked: given.param, problem: 'wrong' })
    if (error.code !== 'too_many_attempts') throw error
    return refuse(error, { asked: given.param, problem: 'try_later', retryAfter: error.retryAfter })
  }
  sendSignedIn(signIn)
  return undefined
}

/** The passkey says whose it is, and stands for a password too. */
async function signInByPasskeyAlone(
  signIn: SignIn,
  client: Client,
  authSession: AuthSession,
  { passkey }: Params,
): Promise<undefined> {
  const { deps, ctx } = signIn
  const asked = passkeyQuestion(deps, authSession)
  if (passkey === undefined || asked === undefined) throw new OAuthError('invalid_request', 'passkey is missing')
  const authentication = await signInByPasskey(deps, { answer: passkey, asked, clientId: client.id }, callerOf(ctx))
  await consumeAuthSession(deps, authSession)
  await beginByCookie(signIn, client, authentication)
  sendSignedIn(signIn)
}

/** Begins a sign-in by passkey: what an authenticator is to be asked, for nobody in particular. */
export async function beginPasskeySignIn(deps: Deps, ctx: Context): Promise<void> {
  insistOnSameSite(ctx, deps.config.issuer)
  if (deps.config.relyingParty === undefined) throw new OAuthError('invalid_request', 'there are no passkeys here')
  const client = await signInClient(deps)
  const authSession = createAuthSession(deps, { clientId: client.id, amr: [] })
  const { factors: _, ...begun } = nextProofMembers(deps, authSession, ['passkey'], [])
  sendJson(ctx, begun)
}

function factorPage(
  { deps, site, ctx, returnTo }: SignIn,
  { user, authSession, text, factors }: Underway,
  view: AskedPage,
): string {
  const choices = choicesOf(deps, factors)
  const given = { purpose: 'sign_in', username: user.username, authSession: text, returnTo, choices } as const
  return askPage(deps, given, authSession, factors, view, site.frame(ctx))
}

/** What a form asks to be asked for. */
export function askedBy({ use }: Params): Proof | undefined {
  return proofs.find(one => one === use)
}

/** Sets up the factor that is demanded, and signs in by it. */
async function enroll(signIn: SignIn, underway: Underway, params: Params): Promise<RefusedByPage | undefined> {
  const { deps, site, ctx, returnTo } = signIn
  const { user, authSession, client } = underway
  const { enrollment, otp } = params
  if (enrollment === undefined) throw new OAuthError('invalid_request', 'a second factor has to be set up first')
  const enroller = { user, signInId: authSession.id }
  const refuse = async (failure: OAuthError, state: EnrollmentState): Promise<RefusedByPage> => ({
    failure,
    page: wantsPage(ctx) ? await enrollmentPage(signIn, underway, { ...state, enrollment }) : undefined,
  })
  if (otp === undefined)
    return await refuse(new OAuthError('invalid_request', 'otp is missing'), { problem: 'missing' })
  await takeTry(deps, authSession)
  const confirmed = await confirmEnrollment(deps, enroller, { enrollment, otp }, callerOf(ctx))
  if (confirmed.kind === 'wrong_code') return await refuse(factorError(confirmed), codeProblemOf(confirmed))
  if (confirmed.kind === 'enrollment_over') return await refuse(factorError(confirmed), { isAnother: true })
  if (confirmed.kind !== 'done') refuseAuthSession(confirmed.kind)
  await consumeAuthSession(deps, authSession)
  const amr = addAmr(authSession.amr, confirmed.amr)
  await beginByCookie(signIn, client, { user: confirmed.user, amr, at: deps.now() })
  const codes = confirmed.recoveryCodes
  if (codes === undefined || !wantsPage(ctx)) sendSignedIn(signIn)
  else
    sendPage(ctx, codesPage({ username: user.username, codes, next: returnTo ?? site.paths.account }, site.frame(ctx)))
  return undefined
}

/** @param state.enrollment that goes on; a new one begins where there is none, or where it is over */
async function enrollmentPage(
  { deps, site, ctx, returnTo }: SignIn,
  { user, authSession, text }: Underway,
  { enrollment, ...state }: EnrollmentState & Readonly<{ enrollment?: string }> = {},
): Promise<string> {
  const enroller = { user, signInId: authSession.id }
  const shown = await totpToShow(deps, enroller, state.isAnother ? undefined : enrollment)
  if (shown.kind !== 'begun') return refuseAuthSession(shown.kind)
  const view = { ...(await totpView(user, shown)), ...state, signIn: { authSession: text, returnTo } }
  return addTotpPage(view, site.frame(ctx))
}
