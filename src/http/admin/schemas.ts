/** What the admin API answers: the documents of `admin/`, which `latchkey … --json` prints too. */
import { z } from 'zod'

const userId = 'usr_517uqrZdsCJBbGU-WPpE5g'
const sessionId = 'kAWJakA4hC_xciRQrw5ywg'
const at = 1_795_466_796

const instant = z
  .int()
  .nonnegative()
  .meta({ description: 'Seconds since 1970.', examples: [at] })
const texts = z.array(z.string())
const next = z.string().nullable().meta({ description: 'The cursor of the next page; null at the end.' })

/** A list by pages. */
function listOf<Name extends string>(name: Name, schema: z.ZodType, example: unknown) {
  return z.strictObject({ [name]: z.array(schema), next }).meta({ examples: [{ [name]: [example], next: null }] })
}

const user = {
  id: userId,
  username: 'alice',
  email: 'alice@example.com',
  email_verified: true,
  full_name: 'Alice',
  roles: ['admin'],
  has_password: true,
  created_at: at,
  disabled_at: null,
  delete_at: null,
}

export const adminUser = z
  .strictObject({
    id: z.string().meta({ description: 'The `sub` of the tokens of the user. It never changes.' }),
    username: z.string(),
    email: z.string().nullable(),
    email_verified: z.boolean().meta({ description: 'Whether the user has proved to read what is sent there.' }),
    full_name: z.string().nullable(),
    roles: texts,
    has_password: z.boolean().meta({ description: 'Whether the user can sign in by a password.' }),
    created_at: instant,
    disabled_at: instant.nullable(),
    delete_at: instant
      .nullable()
      .meta({ description: 'When the user, who wants it, is removed: disabled until then. Seconds since 1970.' }),
  })
  .meta({ id: 'AdminUser', examples: [user] })

export const usersDocument = listOf('users', adminUser, user)

export const invitationDocument = z
  .strictObject({
    id: z.string().meta({ description: 'What the audit trail calls it.' }),
    email: z.string(),
    expires_at: instant,
    mailed: z.boolean(),
    link: z.string().nullable().meta({ description: 'A secret, where it is not mailed.' }),
  })
  .meta({
    id: 'Invitation',
    examples: [{ id: sessionId, email: 'bob@example.com', expires_at: at + 604_800, mailed: true, link: null }],
  })

export const removedDocument = z.strictObject({ removed: z.string() }).meta({ examples: [{ removed: 'alice' }] })

export const resetLinkDocument = z
  .strictObject({
    username: z.string(),
    link: z.url().meta({ description: 'A secret: whoever has it chooses the password.' }),
    expires_at: instant,
  })
  .meta({
    examples: [
      { username: 'alice', link: 'https://auth.example.com/mail/password_reset?token=lkm_…', expires_at: at + 1800 },
    ],
  })

const report = {
  without_password: z.int(),
  disabled: z.int(),
  weak_hashes: z.int(),
  left_out: z.int().meta({ description: 'Anonymous ones and service accounts.' }),
  ignored: texts.meta({ description: 'Members that mean nothing here.' }),
}
const noneOfThese = { without_password: 0, disabled: 0, weak_hashes: 0, left_out: 0, ignored: [] }

export const importDocument = z
  .union([
    z.strictObject({ imported: z.int(), ...report }),
    z.strictObject({
      importable: z.int(),
      problems: z.array(z.strictObject({ place: z.string(), member: z.string().optional(), problem: z.string() })),
      ...report,
    }),
  ])
  .meta({
    id: 'ImportReport',
    examples: [
      { imported: 1, ...noneOfThese },
      {
        importable: 0,
        problems: [{ place: 'entry 1', member: 'username', problem: 'is taken' }],
        ...noneOfThese,
      },
    ],
  })

const session = {
  id: sessionId,
  user_id: userId,
  client_id: 'app',
  scope: 'read write',
  device: "Alice's phone",
  ip: '203.0.113.7',
  user_agent: 'ExampleApp/1.0',
  created_at: at,
  last_seen_at: at,
  expires_at: at + 2_592_000,
}

const adminSession = z
  .strictObject({
    id: z.string(),
    user_id: z.string(),
    client_id: z.string(),
    scope: z.string(),
    device: z.string().nullable(),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
    created_at: instant,
    last_seen_at: instant,
    expires_at: instant.meta({ description: 'When it ends at the earliest if it is not refreshed.' }),
  })
  .meta({ id: 'AdminSession' })

export const adminSessionsDocument = listOf('sessions', adminSession, session)

export const revokedDocument = z.strictObject({ revoked: z.int() }).meta({ examples: [{ revoked: 1 }] })

const client = {
  client_id: 'jobs',
  client_name: null,
  public: false,
  token_endpoint_auth_methods: ['client_secret_basic', 'client_secret_post'],
  secrets: 1,
  jwks: null,
  jwks_uri: null,
  grant_types: ['client_credentials'],
  scope: 'read',
  audience: null,
  resources: null,
  access_token_ttl: null,
  refresh_idle_ttl: null,
  refresh_absolute_ttl: null,
  cors_origins: [],
  access_token_claims: [],
  first_party: null,
  require_factor: false,
  sign_up: false,
  created_at: at,
  disabled_at: null,
}

const seconds = z.int().nullable().meta({ description: 'Seconds; null as the settings of the server say.' })

export const adminClient = z
  .strictObject({
    client_id: z.string(),
    client_name: z.string().nullable(),
    public: z.boolean(),
    token_endpoint_auth_methods: texts,
    secrets: z.int().meta({ description: 'How many it has: two while one is replaced.' }),
    jwks: z.looseObject({}).nullable(),
    jwks_uri: z.string().nullable(),
    grant_types: texts,
    scope: z.string(),
    audience: texts.nullable(),
    resources: texts.nullable(),
    access_token_ttl: seconds,
    refresh_idle_ttl: seconds,
    refresh_absolute_ttl: seconds,
    cors_origins: texts,
    access_token_claims: texts,
    first_party: z.boolean().nullable().meta({
      description: 'Whether it is an app of your own; null as it follows from its grants: with `password` it is one.',
    }),
    require_factor: z.boolean().meta({ description: 'Whether each of its sign-ins needs a second factor.' }),
    sign_up: z.boolean().meta({ description: 'Whether it may sign people up.' }),
    created_at: instant,
    disabled_at: instant.nullable(),
    client_secret: z
      .string()
      .optional()
      .meta({ description: 'One that was made here, in the one answer that shows it.' }),
    sessions_touched: z.int().optional().meta({
      description: 'After a change: how many live sessions get something else from their next refresh on.',
    }),
  })
  .meta({ id: 'AdminClient', examples: [client] })

export const clientsDocument = listOf('clients', adminClient, client)

const key = {
  kid: 'RHTZqBNLznEsWjaJriyOWbCjhLEDvHZOkfs1sV4PVo',
  alg: 'ES256',
  state: 'signing',
  created_at: at,
  signs_at: at,
}

export const keyDocument = z
  .strictObject({
    kid: z.string(),
    alg: z.string(),
    state: z.string().meta({ description: '`published`, `signing`, `verifying` or `retired`.' }),
    created_at: instant,
    signs_at: instant,
  })
  .meta({ id: 'SigningKey', examples: [key] })

export const keysDocument = z.strictObject({ keys: z.array(keyDocument) }).meta({ examples: [{ keys: [key] }] })

const webhook = {
  id: 'whk_517uqrZdsCJBbGU-WPpE5g',
  url: 'https://crm.example.com/latchkey',
  types: ['user'],
  secrets: 1,
  state: 'live',
  created_at: at,
  disabled_at: null,
  delivered_to_at: at,
  attempts: 0,
  failing_since: null,
  next_attempt_at: null,
  failed_at: null,
  last_error: null,
}

export const webhookDocument = z
  .strictObject({
    id: z.string(),
    url: z.string(),
    types: texts.meta({ description: 'Empty for all.' }),
    secrets: z.int().meta({ description: 'How many it has: two while one is replaced.' }),
    state: z.string().meta({
      description:
        '`live`, `retrying` (the last event was not taken), `failed` (given up after three days) or `disabled`.',
    }),
    created_at: instant,
    disabled_at: instant.nullable(),
    delivered_to_at: instant.nullable().meta({ description: 'When the last event happened that it is done with.' }),
    attempts: z.int().meta({ description: 'How often the next event was sent in vain.' }),
    failing_since: instant.nullable(),
    next_attempt_at: instant.nullable(),
    failed_at: instant.nullable(),
    last_error: z.string().nullable(),
    secret: z
      .string()
      .optional()
      .meta({ description: 'One that was made here, `whsec_…`, in the one answer that shows it.' }),
  })
  .meta({ id: 'Webhook', examples: [webhook] })

export const webhooksDocument = z
  .strictObject({ webhooks: z.array(webhookDocument) })
  .meta({ examples: [{ webhooks: [webhook] }] })

const event = {
  at,
  type: 'user.created',
  user_id: userId,
  username: 'alice',
  client_id: null,
  session_id: null,
  ip: '127.0.0.1',
  request_id: 'Vn3yqkzx1',
  detail: 'client ops',
  count: 1,
}

const auditEvent = z
  .strictObject({
    at: instant,
    type: z.string(),
    user_id: z.string().nullable(),
    username: z.string().nullable(),
    client_id: z.string().nullable(),
    session_id: z.string().nullable(),
    ip: z.string().nullable(),
    request_id: z.string().nullable(),
    detail: z.string().nullable(),
    count: z.int(),
  })
  .meta({ id: 'AuditEvent' })

export const eventsDocument = listOf('events', auditEvent, event)

const { username: _, ...unnamed } = event
const followedEvent = auditEvent
  .omit({ username: true })
  .extend({
    id: z.string().meta({
      description: 'The same whenever and by whatever way the event comes: an event that was seen is known by it.',
    }),
  })
  .meta({ id: 'FollowedEvent' })

export const followedDocument = z
  .strictObject({
    events: z.array(followedEvent),
    next: z
      .string()
      .nullable()
      .meta({ description: 'For `after`, also where nothing has happened since; null as long as the trail is empty.' }),
    more: z.boolean().meta({ description: 'Whether to ask on at once.' }),
    gap: z.boolean().meta({
      description: 'Whether events after the cursor may have been removed (`LATCHKEY_AUDIT_TTL`) before this was read.',
    }),
  })
  .meta({
    id: 'FollowedEvents',
    examples: [
      {
        events: [{ id: `evt_4711_${at}`, ...unnamed }],
        next: 'eyJpZCI6NDcxMSwiYXQiOjE3OTU0NjY3OTZ9',
        more: false,
        gap: false,
      },
    ],
  })
