/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is repeated because its answer got lost is done once, on
 * any number of nodes, and gets the same answer for a day. What became of one whose node has ended is not known, so it is never done again.
 */
import { createHash } from 'node:crypto'
import { OAuthError } from '../../error.ts'
import { fingerprintOf, hasFingerprint, openAnswer, sealAnswer } from '../../keys/kept_answer.ts'
import type { KeptAnswer } from '../../keys/storage.ts'
import type { Deps } from '../../oauth/deps.ts'
import { OutcomeUnknown } from '../../storage/outcome.ts'
import type { Context } from '../context.ts'
import type { Reply } from './reply.ts'

/** Seconds. */
const keptFor = 86_400
/** Of one client: 2 KB each, and one that goes wrong in a circle fills no disk. */
export const maxKept = 20_000
/** Seconds after which a request that has begun is not under way any more: its node was lost. */
const maxUnderWay = 60

/** @returns the key of a request; undefined where it has none @throws OAuthError `invalid_request` */
export function idempotencyKeyOf(ctx: Context): string | undefined {
  const header = ctx.headers['idempotency-key']
  if (header === undefined) return undefined
  // A string of RFC 9651 §3.3.3, or as most clients send it.
  const key = /^"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"$|^([\x21\x23-\x2b\x2d-\x7e]{1,255})$/.exec(String(header))
  if (key === null)
    throw new OAuthError(
      'invalid_request',
      'the Idempotency-Key has 1 to 255 characters of ASCII, and no quote or backslash',
    )
  return key[1] ?? key[2]
}

/**
 * Answers a request, or what it was answered before.
 *
 * @param who    the client that asks: keys of others are others
 * @param request all that it says
 * @throws OAuthError `idempotency_key_reused`, `request_in_progress`, or what `answer` throws: then the key is free again
 */
export async function answerOnce(
  deps: Deps,
  { who, key, request }: Readonly<{ who: string; key: string; request: string }>,
  answer: () => Promise<Reply>,
): Promise<Reply> {
  const { storage, now, randomBytes } = deps
  const id = `${digest(who)}.${digest(key)}`
  const began = { fingerprint: fingerprintOf(request, deps.secrets), beganAt: now(), expiresAt: now() + keptFor }
  const before = await storage.beginAnswer(id, began, maxKept)
  if (before === 'full')
    throw new OAuthError(
      'too_many_keys',
      `${maxKept} requests of this client came with an Idempotency-Key within a day`,
      {
        retryAfter: 60,
      },
    )
  if (before !== undefined) return repeat(deps, id, request, before)
  let reply: Reply
  try {
    reply = await answer()
  } catch (error) {
    if (wasRefused(error)) await storage.forgetAnswer(id).catch(() => {})
    throw error
  }
  // It is done, and whoever asked is told, whether or not it can be told again.
  await storage.keepAnswer(id, sealAnswer(JSON.stringify(reply), id, deps.secrets, randomBytes)).catch(() => {})
  return reply
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function repeat({ secrets, now }: Deps, id: string, request: string, before: KeptAnswer): Reply {
  if (!hasFingerprint(request, before.fingerprint, secrets))
    throw new OAuthError('idempotency_key_reused', 'another request came with this Idempotency-Key: use one for each')
  if (before.answer === undefined && now() - before.beganAt < maxUnderWay)
    throw new OAuthError('request_in_progress', 'the request with this Idempotency-Key is under way', { retryAfter: 1 })
  const answer = before.answer && openAnswer(before.answer, id, secrets)
  if (answer === undefined || answer === '')
    throw new OAuthError(
      'request_in_progress',
      'what became of the request with this Idempotency-Key is not known: look, and use another one',
    )
  return JSON.parse(answer)
}

/** Whether nothing was done. */
function wasRefused(error: unknown): boolean {
  return error instanceof OAuthError && error.code !== 'server_error' && !(error.cause instanceof OutcomeUnknown)
}
