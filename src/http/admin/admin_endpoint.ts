/**
 * What the endpoints of the admin API have in common: who may call them, how they read and answer, and what a refusal of `admin/` comes to.
 * RFC 6750; RFC 9110 §13.1.1 for `If-Match`.
 */
import { z } from 'zod'
import type { ServerSettings } from '../../admin/clients.ts'
import type { Actor, AdminDeps, Insist } from '../../admin/deps.ts'
import { BeyondScope, Conflict, InvalidMember, NotFound, Stale } from '../../admin/error.ts'
import { type AdminScope, coversScope } from '../../clients/admin_client.ts'
import { type ErrorCode, OAuthError } from '../../error.ts'
import type { SigningAlg } from '../../keys/signing_key.ts'
import { authenticateAdminToken } from '../../oauth/admin_token.ts'
import type { Deps } from '../../oauth/deps.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import type { Description, Schemas } from '../description.ts'
import type { BodyReader, Endpoint } from '../endpoint.ts'
import { errorAnswers } from '../error_answers.ts'
import { jsonType } from '../media_types.ts'
import { readQuery } from '../query.ts'
import { answerOnce, idempotencyKeyOf } from './idempotency.ts'
import { parseDocument, readJsonText, readMembers } from './json_body.ts'
import { etagOf, type Reply, send } from './reply.ts'
import { changeHeaders, onceHeaders } from './requests.ts'

/** What the endpoints are made of. */
export type AdminSurroundings = Readonly<{
  deps: AdminDeps
  /** The settings of the server that bear on what is made here. */
  server: ServerSettings
  /** Where links lead to, and whether they are mailed. */
  links: Readonly<{ issuer: string; hasMail: boolean }>
  /** Whether a webhook may be without TLS, on this machine. */
  privateWebhooks: boolean
  signingAlg: SigningAlg
  endpoint: ReturnType<typeof createAdminEndpoints>
}>

/** What a request of an operator's program asks. */
export type Asked<Body, Query> = Readonly<{
  /** The variable part of the path, where it has one. */
  id: string
  body: Body
  query: Query
  actor: Actor
  /** That the document is still the one that `If-Match` names, where it is there. @throws Stale */
  insist: Insist<object>
}>

type AdminRecord<Body, Query> = Pick<Endpoint, 'id' | 'method' | 'path'> &
  Readonly<{
    scope: AdminScope
    /** Of the body; there is none without. */
    body?: z.ZodType<Body> & z.ZodObject
    /** How large that may be, where it is no single document. */
    size?: 'users'
    query?: z.ZodType<Query> & z.ZodObject
    /** It makes something: an `Idempotency-Key` counts. */
    once?: true
    /** It changes or removes one thing: an `If-Match` counts. */
    changes?: true
    /** Answers, or throws what `admin/` or `parseDocument` throw. */
    handle: (asked: Asked<Body, Query>) => Promise<Reply>
    describe: (schemas: Schemas) => Description
  }>

/** Read by the handler, when it knows who asks: 2 MiB are for nobody else. */
const jsonBody: BodyReader = { types: [jsonType], required: true, read: async () => {} }

/** @returns what makes records of endpoints of what differs between them */
export function createAdminEndpoints(deps: Deps) {
  return <Body = undefined, Query = undefined>(record: AdminRecord<Body, Query>): Endpoint => {
    const { scope, body, size = 'document', query, handle } = record
    return {
      id: record.id,
      method: record.method,
      path: record.path,
      caller: 'admin',
      cors: 'none',
      scope,
      ...(body && { body: jsonBody }),
      async handle(ctx, params) {
        const { actor, who } = await authenticate(deps, ctx, scope)
        const key = record.once && idempotencyKeyOf(ctx)
        const text = body === undefined ? '' : await readJsonText(ctx, size)
        const asked = {
          id: params.id ?? '',
          actor,
          insist: ifMatch(ctx),
          query: (query && readMembers(query, { ...readQuery(ctx) })) as Query,
          body: (body && parseDocument(body, text, size)) as Body,
        }
        const answer = () => inWordsOfHttp(() => handle(asked))
        const request = `${ctx.method} ${ctx.url}\n${text}`
        send(ctx, await (key === undefined ? answer() : answerOnce(deps, { who, key, request }, answer)))
      },
      describe(schemas) {
        const description = record.describe(schemas)
        const errors = { ...(record.once && repeated), ...(record.changes && overtaken), ...description.errors }
        const headers: { [name: string]: z.ZodType } = {}
        if (record.once) Object.assign(headers, onceHeaders.shape)
        if (record.changes) Object.assign(headers, changeHeaders.shape)
        return { ...description, errors, headers: z.object(headers), ...(query && { query }), ...(body && { body }) }
      },
    }
  }
}

/** @returns as well what tells this client from one that has its name later */
async function authenticate(deps: Deps, ctx: Context, scope: AdminScope): Promise<{ actor: Actor; who: string }> {
  if ('access_token' in readQuery(ctx))
    throw new OAuthError('invalid_request', 'the access token belongs in the Authorization header')
  const token = /^Bearer +([\w.~+/-]+=*) *$/i.exec(ctx.headers.authorization ?? '')?.[1]
  if (token === undefined) throw new OAuthError('token_missing', 'an access token is needed')
  const { client, scopes } = await authenticateAdminToken(deps, token)
  ctx.state.clientId = client.id
  if (!coversScope(scopes, scope))
    throw new OAuthError('insufficient_scope', `the access token has not the scope ${scope}`)
  const { ip, requestId } = callerOf(ctx)
  return {
    actor: { name: `client ${client.id}`, scopes, ip, requestId },
    who: `${client.id} ${client.createdAt}`,
  }
}

/** RFC 9110 §13.1.1: the strong comparison, for one tag of several, or `*` for whatever is there. */
function ifMatch(ctx: Context): Insist<object> {
  const header = ctx.headers['if-match']
  if (header === undefined) return () => {}
  const tags = header.split(',').map(tag => tag.trim())
  return document => {
    if (tags.includes('*') || tags.includes(etagOf(document))) return
    throw new Stale('it has been changed since: read it again')
  }
}

/** What `admin/` refuses, as this API says it. */
async function inWordsOfHttp(run: () => Promise<Reply>): Promise<Reply> {
  try {
    return await run()
  } catch (error) {
    throw inHttp(error)
  }
}

function inHttp(error: unknown): unknown {
  if (error instanceof NotFound) return new OAuthError('not_found', error.message)
  if (error instanceof Stale) return new OAuthError('precondition_failed', error.message)
  if (error instanceof BeyondScope) return new OAuthError('insufficient_scope', error.message, { scope: error.scope })
  if (error instanceof InvalidMember) return new OAuthError('invalid_request', error.message)
  if (error instanceof Conflict && error.code in errorAnswers)
    return new OAuthError(error.code as ErrorCode, error.message)
  return error
}

// What many descriptions have.

const repeated = {
  invalid_request: 'the Idempotency-Key has 1 to 255 characters of ASCII, and no quote or backslash',
  request_in_progress: 'the request with this Idempotency-Key is under way',
  too_many_keys: '20000 requests of this client came with an Idempotency-Key within a day',
  idempotency_key_reused: 'another request came with this Idempotency-Key: use one for each',
} as const

const overtaken = { precondition_failed: 'it has been changed since: read it again' } as const

export function pageOf(description: string, schema: z.ZodType): Description['answers'] {
  return { 200: { description, content: { [jsonType]: schema }, sometimes: ['Link'] } }
}
