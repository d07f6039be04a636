/**
 * Request parameters: the text of a form to one non-empty string per name, or `invalid_request`. RFC 6749 §3.2, Appendix B.
 * What the form rules forbid is settled here once; nothing behind meets anything but a string.
 */
import type { IncomingMessage } from 'node:http'
import type { Context as KoaContext } from 'koa'
import bodyParser from 'koa-bodyparser'
import type { TokenParams } from '../clients/client.ts'
import { OAuthError, quoted } from '../error.ts'
import { isStorable } from '../text.ts'
import type { Context } from './context.ts'
import type { BodyReader } from './endpoint.ts'
import { formType, jsonType, mergePatchType } from './media_types.ts'
import { insistOnFewPairs, maxPairs, readQuery } from './query.ts'

const maxBody = 16 * 1024
/** Three passwords of the longest kind, in the letters that take most room in a form. */
const maxPageBody = 64 * 1024
/** Pieces that a body without a length may come in: each costs as much as 10 KB in one. */
const maxPieces = 200

// For what is compressed. As text: the parser's own form decoding turns repeats into arrays, `a[b]` into objects and leaves broken encoding in.
const readText = textReader(maxBody)
const readPageText = textReader(maxPageBody)

/** What reads a body as text. @param max octets */
export function textReader(max: number) {
  const parse = bodyParser({
    enableTypes: ['text'],
    extendTypes: { text: [formType, jsonType, mergePatchType] },
    textLimit: String(max),
    onerror(error) {
      if ('status' in error && error.status === 413) throw tooLarge()
      // Broken off, of another length than announced, or not compressed as its Content-Encoding says.
      throw new OAuthError('invalid_request', 'the body cannot be read', { cause: error })
    },
  })
  return async (ctx: Context): Promise<void> => {
    const { 'content-length': length, 'content-encoding': encoding } = ctx.headers
    if (encoding !== undefined) {
      // Else each piece of it would be a task of its own for the decompressor: RFC 9110 §15.5.12.
      if (length === undefined) throw new OAuthError('length_required', 'a compressed body must say how long it is')
      await parse(ctx as KoaContext, async () => {})
      return
    }
    if (Number(length) > max) throw tooLarge()
    ctx.request.body = await readPlainText(ctx.req, max, length === undefined)
  }
}

const tooLarge = () => new OAuthError('request_too_large', 'the body is too large')

/** Nothing but a form is taken, and no parameter from the query string. */
export const formBody: BodyReader = { types: [formType], required: true, read: readForm }

/** Where JSON will do too: an object of strings. */
export const formOrJsonBody: BodyReader = { types: [formType, jsonType], required: true, read: readFormOrJson }

/** Where there may be no body at all. */
export const optionalFormBody: BodyReader = { types: [formType], required: false, read: readOptionalForm }

function readForm(ctx: Context): Promise<void> {
  const { 'content-type': type, 'content-length': length } = ctx.headers
  // To the letter as nearly every client sends it, or in one of the other ways to write it.
  if ((type !== formType || length === undefined) && !ctx.is(formType)) {
    throw new OAuthError('invalid_request', `the body must be ${formType}`)
  }
  refuseCredentialsInQuery(ctx)
  return readText(ctx)
}

/** A body as clients send it, not compressed. koa-bodyparser, made for any, costs 5 us more, and takes it in any number of pieces. */
function readPlainText(request: IncomingMessage, max: number, isChunked: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let ended = false
    const refuse = (error: OAuthError) => {
      request.off('data', take).pause()
      reject(error)
    }
    function take(chunk: Buffer) {
      chunks.push(chunk)
      size += chunk.length
      if (size > max) refuse(tooLarge())
      else if (isChunked && chunks.length > maxPieces)
        refuse(new OAuthError('invalid_request', 'the body comes in too many pieces'))
    }
    request.on('data', take)
    request.on('end', () => {
      ended = true
      resolve((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString())
    })
    // Comes always, and before the end when the client has left.
    request.on('close', () => {
      if (!ended) reject(new OAuthError('invalid_request', 'the body cannot be read', { cause: request.errored }))
    })
    request.on('error', () => {})
  })
}

async function readFormOrJson(ctx: Context): Promise<void> {
  if (!ctx.is(formType, jsonType)) {
    throw new OAuthError('invalid_request', `the body must be ${formType} or ${jsonType}`)
  }
  refuseCredentialsInQuery(ctx)
  await readPageText(ctx)
}

async function readOptionalForm(ctx: Context): Promise<void> {
  // Koa's `is` says null, and not false, where there is no body; fetch() announces a length of 0.
  if (ctx.is(formType) === null || ctx.get('Content-Length') === '0') return
  await readForm(ctx)
}

/** The parameters that {@link formBody} read. */
export function formParams(ctx: Context): TokenParams {
  return parseForm((ctx.request.body as string | undefined) ?? '')
}

/** The parameters that {@link formOrJsonBody} read. */
export function bodyParams(ctx: Context): TokenParams {
  return ctx.is(jsonType)
    ? { params: parseJson((ctx.request.body as string | undefined) ?? ''), resources: [] }
    : formParams(ctx)
}

/** @throws OAuthError `invalid_request` for anything but an object of strings */
function parseJson(text: string): TokenParams['params'] {
  // Bytes that are not UTF-8 have become this character by now.
  if (text.includes('\ufffd')) throw new OAuthError('invalid_request', 'the body is not UTF-8')
  insistOnFewMembers(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new OAuthError('invalid_request', 'the body is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OAuthError('invalid_request', 'the body is not a JSON object')
  }
  const params: Partial<Record<string, string>> = Object.create(null)
  for (const [name, member] of Object.entries(value)) {
    if (typeof member !== 'string') {
      throw new OAuthError('invalid_request', 'a member of the JSON object is not a text')
    }
    // "\u0000" and "\ud800", which JSON can write.
    if (!isStorable(name) || !isStorable(member)) {
      throw new OAuthError('invalid_request', 'a member of the JSON object has a NUL or half a character')
    }
    if (member !== '') params[name] = member
  }
  return params
}

const [quote, backslash, comma, bracket, brace] = ['"', '\\', ',', '[', '{'].map(mark => mark.charCodeAt(0))

/** Counts members and values within values before anything is made of them. */
export function insistOnFewMembers(text: string, max = maxPairs): void {
  let isInText = false
  let members = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) isInText = !isInText
    else if (isInText) at += Number(code === backslash)
    else if ((code === comma || code === bracket || code === brace) && ++members > max)
      throw new OAuthError('invalid_request', `the JSON object has more than ${max} members`)
  }
}

/**
 * Parses form-encoded text.
 *
 * @returns `params`, an object without prototype, so that `__proto__` is a name like any other, and the values of
 *          `resource`, the one name that may be repeated (RFC 8707 §2); empty values are left out
 * @throws OAuthError `invalid_request` for any other repeated name, broken percent-encoding, malformed UTF-8 or a NUL
 */
export function parseForm(text: string): TokenParams {
  const params: Partial<Record<string, string>> = Object.create(null)
  const resources: string[] = []
  const seen = new Set<string>()
  // Bytes that are not UTF-8 have become this character by now.
  if (text.includes('\ufffd')) throw new OAuthError('invalid_request', 'the body is not UTF-8')
  insistOnFewPairs(text)
  for (const pair of plusToSpace(text).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1))
    if (name === 'resource') {
      if (value !== '') resources.push(value)
      continue
    }
    if (seen.has(name)) throw new OAuthError('invalid_request', `a parameter is given twice${quoted(name)}`)
    seen.add(name)
    if (value !== '') params[name] = value
  }
  return { params, resources }
}

/** Byte by byte: to replace each in a text of nothing else is ten times as dear. */
function plusToSpace(text: string): string {
  if (!text.includes('+')) return text
  const bytes = Buffer.from(text)
  for (let at = bytes.indexOf('+'); at >= 0 && at < bytes.length; at++) if (bytes[at] === 0x2b) bytes[at] = 0x20
  return bytes.toString()
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('\0')) return text
  let decoded: string
  try {
    decoded = decodeURIComponent(text)
  } catch {
    throw new OAuthError('invalid_request', 'the body has broken percent-encoding')
  }
  if (!isStorable(decoded)) throw new OAuthError('invalid_request', 'a parameter has a NUL character')
  return decoded
}

/** Query strings end up in logs and histories (RFC 6749 §2.3.1, §3.2; RFC 6750 §5.3). */
export function refuseCredentialsInQuery(ctx: Context): void {
  if (Object.keys(readQuery(ctx)).some(name => credentialNames.has(name))) {
    throw new OAuthError('invalid_request', 'parameters belong in the body, not in the query string')
  }
}

const credentialNames = new Set([
  'grant_type',
  'response_type',
  'username',
  'password',
  'otp',
  'recovery_code',
  'passkey',
  'auth_session',
  'code',
  'code_verifier',
  'client_id',
  'client_secret',
  'client_assertion',
  'refresh_token',
  'access_token',
  'token',
])
