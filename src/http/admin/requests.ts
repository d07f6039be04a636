/** What requests of the admin API may have: bodies and queries, by the member names of `latchkey`'s JSON. */
import { z } from 'zod'
import { maxResetLink, minResetLink } from '../../admin/reset_link.ts'
import { OAuthError } from '../../error.ts'

/** The most of a list on one page, and of users that one request imports. */
export const maxPage = 1000
const defaultPage = 100

const text = z.string().min(1)
const instant = z
  .string()
  .regex(/^\d{1,12}$/, 'it takes seconds since 1970')
  .transform(Number)
  .optional()
  .meta({ examples: ['1795466796'] })

const page = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, `it takes a number from 1 to ${maxPage}`)
    .refine(digits => Number(digits) <= maxPage, `it takes a number from 1 to ${maxPage}`)
    .default(String(defaultPage))
    .transform(Number)
    .meta({ description: `The most on this page, 1 to ${maxPage}; ${defaultPage} if it is left out.` }),
  cursor: text.optional().meta({ description: '`next` of the page before. Not for reading.' }),
}

export const onceHeaders = z.object({
  'Idempotency-Key': text
    .max(255)
    .optional()
    .meta({
      description: 'The same key with the same request gets the same answer for a day, and nothing is done twice.',
      examples: ['"order-4711"'],
    }),
})

export const changeHeaders = z.object({
  'If-Match': text
    .optional()
    .meta({ description: 'The `ETag` that was read: what is not that any more is left alone.' }),
})

export const thingPath = z.object({ id: z.string().meta({ examples: ['usr_517uqrZdsCJBbGU-WPpE5g'] }) })

export const usersQuery = z.strictObject({
  username: text.optional().meta({ description: 'Only the user who is called so, in any case.', examples: ['alice'] }),
  ...page,
})

const takeReserved = z
  .boolean()
  .optional()
  .meta({ description: 'Also a username that is kept for who had it in the last 90 days.' })

export const newUser = z
  .strictObject({
    username: text,
    email: z.string().optional(),
    email_verified: z.boolean().optional(),
    full_name: z.string().optional(),
    roles: z.array(z.string()).optional(),
    password: text,
    take_reserved: takeReserved,
  })
  .meta({
    id: 'NewUser',
    examples: [{ username: 'alice', email: 'alice@example.com', password: 'correct horse battery staple' }],
  })

export const newInvitation = z
  .strictObject({
    email: text,
    username: text.optional().meta({ description: 'What the person is offered, and may replace.' }),
    full_name: z.string().optional().meta({ description: 'The same.' }),
    roles: z.array(z.string()).optional(),
    lifetime: z.int().optional().meta({ description: 'Seconds, from an hour to 30 days; 7 days if it is left out.' }),
    print: z.boolean().optional().meta({ description: 'Mails nothing: the answer has the link.' }),
  })
  .meta({ id: 'NewInvitation', examples: [{ email: 'bob@example.com', roles: ['staff'] }] })

export const userChange = z
  .strictObject({
    username: text.optional(),
    email: z.string().nullable().optional(),
    email_verified: z.boolean().optional().meta({ description: 'Without `email` of the address that the user has.' }),
    full_name: z.string().nullable().optional(),
    roles: z.array(z.string()).optional(),
    take_reserved: takeReserved,
  })
  .refine(({ take_reserved: _, ...members }) => Object.keys(members).length > 0, { error: 'name what is to change' })
  .meta({ id: 'UserChange', examples: [{ email: 'alice@example.com', roles: ['admin'] }, { full_name: null }] })

export const newPassword = z
  .strictObject({ password: text })
  .meta({ examples: [{ password: 'seven lamps over the harbour' }] })

export const newResetLink = z
  .strictObject({
    lifetime: z
      .int()
      .optional()
      .meta({ description: `Seconds that it works, ${minResetLink} to ${maxResetLink}; 1800 if it is left out.` }),
  })
  .meta({ examples: [{ lifetime: 1800 }, {}] })

export const userImport = z
  .strictObject({
    users: z
      .array(z.looseObject({}))
      .min(1)
      .max(maxPage, `it takes at most ${maxPage} users`)
      .meta({ description: 'As `latchkey user import` reads them: docs/import.md.' }),
    ignore: z.array(z.string()).optional().meta({ description: 'Members of the users to read nothing in.' }),
    take_reserved: takeReserved,
    dry_run: z.boolean().optional().meta({ description: 'Changes nothing, and says of each what is wrong.' }),
  })
  .meta({
    id: 'UserImport',
    examples: [{ users: [{ username: 'bob', hashed_password: '$2b$12$…' }], dry_run: true }],
  })

export const sessionsQuery = z.strictObject({
  user_id: text.optional().meta({ description: 'Of this user only.' }),
  client_id: text.optional().meta({ description: 'Of this client only.' }),
  ...page,
})

export const revocation = z
  .strictObject({
    user_id: text.optional().meta({ description: 'All of this user.' }),
    client_id: text.optional().meta({ description: 'All of this client; with `user_id` those of both.' }),
    all: z.literal(true).optional().meta({ description: 'All there are, as after restoring a backup.' }),
  })
  .refine(({ user_id, client_id, all }) => (user_id ?? client_id) === undefined || all === undefined, {
    error: 'say which: user_id, client_id or both, or all',
  })
  .refine(({ user_id, client_id, all }) => (user_id ?? client_id ?? all) !== undefined, {
    error: 'say which: user_id, client_id or both, or all',
  })
  .meta({ id: 'Revocation', examples: [{ user_id: 'usr_517uqrZdsCJBbGU-WPpE5g' }] })

const texts = z.array(text)
const seconds = z.int().positive().nullable()

const clientMembers = {
  client_name: z.string().optional().meta({ description: "What people see it called; '' for its id again." }),
  grant_types: texts.optional(),
  scope: z.string().optional(),
  token_endpoint_auth_methods: texts.optional(),
  jwks: z.looseObject({}).optional(),
  jwks_uri: text.optional(),
  audience: texts.nullable().optional(),
  resources: texts.nullable().optional(),
  access_token_ttl: seconds.optional(),
  refresh_idle_ttl: seconds.optional(),
  refresh_absolute_ttl: seconds.optional(),
  cors_origins: texts.optional(),
  access_token_claims: texts.optional(),
  first_party: z.boolean().nullable().optional().meta({
    description: 'Whether it is an app of your own; null as it follows from its grants: with `password` it is one.',
  }),
  require_factor: z.boolean().optional().meta({ description: 'Whether each of its sign-ins needs a second factor.' }),
  sign_up: z.boolean().optional().meta({ description: 'Whether it may sign people up.' }),
}

const clientSecret = text.optional().meta({ description: 'One that was made elsewhere; otherwise one is made.' })

export const clientsQuery = z.strictObject(page)

export const newClient = z
  .strictObject({
    client_id: text,
    public: z.boolean().optional(),
    client_secret: clientSecret,
    ...clientMembers,
  })
  .meta({
    id: 'NewClient',
    examples: [{ client_id: 'jobs', grant_types: ['client_credentials'], scope: 'read' }],
  })

export const clientChange = z
  .strictObject(clientMembers)
  .refine(members => Object.keys(members).length > 0, { error: 'name what is to change' })
  .meta({ id: 'ClientChange', examples: [{ scope: 'read write', access_token_ttl: null }] })

export const secretRotation = z
  .strictObject({
    client_secret: clientSecret,
    now: z.boolean().optional().meta({ description: 'Ends the old secrets at once.' }),
  })
  .meta({ examples: [{}, { now: true }] })

export const auditQuery = z.strictObject({
  user_id: text.optional(),
  client_id: text.optional(),
  session_id: text.optional(),
  type: text.optional().meta({
    description: 'Of this type, such as `session.revoked`, or of all that begin so, such as `session`.',
    examples: ['session.revoked'],
  }),
  ip: text.optional(),
  since: instant.meta({ description: 'Not before, in seconds since 1970.', examples: ['1795466796'] }),
  until: instant.meta({ description: 'Not after, in seconds since 1970.', examples: ['1795466796'] }),
  ...page,
})

export const followQuery = z.strictObject({
  after: text
    .optional()
    .meta({ description: '`next` of the answer before; without it the oldest events come. Not for reading.' }),
  type: auditQuery.shape.type,
  limit: page.limit,
})

export const webhookPath = z.object({ id: z.string().meta({ examples: ['whk_517uqrZdsCJBbGU-WPpE5g'] }) })

const webhookTypes = z.array(text).optional().meta({
  description: 'Types of events, or what stands before the dot of several; none of them for all.',
})

export const newWebhook = z
  .strictObject({ url: text, types: webhookTypes })
  .meta({ id: 'NewWebhook', examples: [{ url: 'https://crm.example.com/latchkey', types: ['user'] }] })

export const webhookChange = z
  .strictObject({ url: text.optional(), types: webhookTypes })
  .refine(members => Object.keys(members).length > 0, { error: 'name what is to change' })
  .meta({ id: 'WebhookChange', examples: [{ types: ['user', 'session.reused'] }] })

export const webhookRotation = z
  .strictObject({ now: z.boolean().optional().meta({ description: 'Ends the old secrets at once.' }) })
  .meta({ examples: [{}, { now: true }] })

export const webhookEnabling = z
  .strictObject({
    from_now: z.boolean().optional().meta({ description: 'Leaves out what it has not got.' }),
  })
  .meta({ examples: [{}, { from_now: true }] })

/** A place in a list, for who reads it page by page. */
export function encodeCursor(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

/** @throws OAuthError `invalid_request` for what {@link encodeCursor} has not made of such a place */
export function decodeCursor<T>(schema: z.ZodType<T>, cursor: string | undefined): T | undefined {
  if (cursor === undefined) return undefined
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch {
    throw new OAuthError('invalid_request', 'the cursor cannot be used')
  }
}
