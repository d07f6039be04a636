/** Bodies of the admin API: JSON objects, as zod reads them. RFC 8259; RFC 9110 §15.5.14. */
import type { z } from 'zod'
import { OAuthError, quoted } from '../../error.ts'
import { isStorable } from '../../text.ts'
import type { Context } from '../context.ts'
import { jsonType } from '../media_types.ts'
import { insistOnFewMembers, textReader } from '../params.ts'

/** Octets. A client with all that it can have, its keys among it, is a tenth of that. */
const maxDocument = 64 * 1024
/** A thousand users, with hashes and names of the longest kinds. */
const maxUsers = 2 * 1024 * 1024
/** Members and values of one document, and of a page of users. */
const maxMembers = { document: 1000, users: 100_000 }

const readDocument = textReader(maxDocument)
const readUsers = textReader(maxUsers)

/** @returns the text of the body @throws OAuthError `invalid_request`, `length_required` or `request_too_large` */
export async function readJsonText(ctx: Context, size: 'document' | 'users'): Promise<string> {
  if (!ctx.is(jsonType)) throw new OAuthError('invalid_request', `the body must be ${jsonType}`)
  await (size === 'document' ? readDocument : readUsers)(ctx)
  const text = (ctx.request.body as string | undefined) ?? ''
  // Bytes that are not UTF-8 have become this character by now.
  if (text.includes('\ufffd')) throw new OAuthError('invalid_request', 'the body is not UTF-8')
  return text
}

/** @throws OAuthError `invalid_request` that names the first member that cannot be used */
export function parseDocument<T>(schema: z.ZodType<T>, text: string, size: 'document' | 'users'): T {
  insistOnFewMembers(text, maxMembers[size])
  let value: unknown
  try {
    // What reads users looks at each text by itself.
    value = JSON.parse(text, size === 'document' ? insistOnStorable : undefined)
  } catch (error) {
    throw error instanceof OAuthError ? error : new OAuthError('invalid_request', 'the body is not JSON')
  }
  return readMembers(schema, value)
}

/** @throws OAuthError `invalid_request` that names the first member or parameter that cannot be used */
export function readMembers<T>(schema: z.ZodType<T>, value: unknown): T {
  const read = schema.safeParse(value)
  if (read.success) return read.data
  const [issue] = read.error.issues
  const path = issue?.path.join('.') ?? ''
  if (issue?.code === 'unrecognized_keys')
    throw new OAuthError('invalid_request', `there is nothing of this name here${quoted(issue.keys.join(' '))}`)
  const isMissing = issue?.code === 'invalid_type' && issue.message.endsWith('received undefined')
  if (isMissing) throw new OAuthError('invalid_request', path === '' ? 'the body is missing' : `${path} is missing`)
  const problem = (issue?.message ?? '').replace(/^[A-Z]/, letter => letter.toLowerCase())
  throw new OAuthError('invalid_request', path === '' ? problem : `${path}: ${problem}`)
}

function insistOnStorable(name: string, value: unknown): unknown {
  if (isStorable(name) && (typeof value !== 'string' || isStorable(value))) return value
  throw new OAuthError('invalid_request', 'a member of the JSON object has a NUL or half a character')
}
