/**
 * The tables in PostgreSQL: the columns of SQLite's, with the same names, and rows of the same types. Instants and durations are
 * whole seconds. What is looked up or put in order by its bytes, as in SQLite, is `COLLATE "C"`: the order is the same on every
 * machine, and no index breaks when a system brings other rules for a language.
 */
import { isNotNull } from '../drizzle.ts'
import { bigint, customType, index, integer, pgTable, primaryKey, text, uniqueIndex } from './drizzle.ts'

const key = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' })
/** Seconds, or a number that counts up: both go beyond 32 bits some day. */
const whole = (name: string) => bigint(name, { mode: 'number' })

export const users = pgTable(
  'users',
  {
    id: key('id').primaryKey(),
    username: text('username').notNull(),
    /** The form in which usernames are looked up: NFC, without case. */
    usernameKey: key('username_key').notNull().unique('users_username_key'),
    email: text('email'),
    fullName: text('full_name'),
    /** '' for a user without a password. */
    passwordHash: text('password_hash').notNull(),
    /** Raised by everything that invalidates a verified password: a new password, disabling. */
    credentialVersion: integer('credential_version').notNull(),
    createdAt: whole('created_at').notNull(),
    disabledAt: whole('disabled_at'),
    /** The form in which a new username must be free, where it is another: NFKC, without case and what nobody sees. Not unique: older names were not compared in it. */
    usernameFold: key('username_fold'),
    /** Space-separated; null for none. */
    roles: text('roles'),
    /** The form in which addresses are compared, `usernameFold`'s. Not unique: see `relaxedRules`. */
    emailKey: key('email_key'),
    /** When it was proved that the user reads what is sent to an address: that of `verifiedEmailKey`, which counts as long as it is `emailKey`. */
    emailVerifiedAt: whole('email_verified_at'),
    verifiedEmailKey: key('verified_email_key'),
    /** Changes of the address that can be undone, the oldest first: the credential version that each made, a colon and its instant, with spaces between; null for none. */
    emailChanges: text('email_changes'),
    /** BCP 47; null for what the browser says. */
    language: text('language'),
    /** When the user is removed, who is disabled until then. */
    deleteAt: whole('delete_at'),
  },
  table => [
    index('users_username_fold').on(table.usernameFold).where(isNotNull(table.usernameFold)),
    index('users_email_key').on(table.emailKey).where(isNotNull(table.emailKey)),
    uniqueIndex('users_verified_email').on(table.verifiedEmailKey).where(isNotNull(table.verifiedEmailKey)),
    index('users_delete_at').on(table.deleteAt).where(isNotNull(table.deleteAt)),
  ],
)

/** Usernames that were somebody's a short while ago: nobody else gets them. */
export const reservedUsernames = pgTable(
  'reserved_usernames',
  {
    /** In the form in which a new username must be free, as `usernameFold` makes it. */
    fold: key('fold').primaryKey(),
    /** Who may have it again; that user may be gone. */
    userId: key('user_id').notNull(),
    until: whole('until').notNull(),
  },
  table => [index('reserved_usernames_user_id').on(table.userId), index('reserved_usernames_until').on(table.until)],
)

export const clients = pgTable('clients', {
  id: key('id').primaryKey(),
  /** Space-separated; every method that the client may use. */
  authenticationMethods: text('authentication_methods').notNull(),
  /** Space-separated, newest first; null for a client without a secret. */
  secretDigests: text('secret_digest'),
  /** JWK Set, JSON. */
  jwks: text('jwks'),
  jwksUri: text('jwks_uri'),
  /** Space-separated grant types. */
  grantTypes: text('grant_types').notNull(),
  /** Space-separated scope values that the client may be granted. */
  scope: text('scope').notNull(),
  /** Space-separated; null for the server's own. */
  audience: text('audience'),
  /** Space-separated; null for all. */
  resources: text('resources'),
  accessTokenLifetime: whole('access_token_lifetime'),
  refreshIdleLifetime: whole('refresh_idle_lifetime'),
  refreshAbsoluteLifetime: whole('refresh_absolute_lifetime'),
  /** Space-separated. */
  corsOrigins: text('cors_origins'),
  createdAt: whole('created_at').notNull(),
  disabledAt: whole('disabled_at'),
  /** What people call it; null for its id. */
  name: text('name'),
  /** Space-separated; null for none. */
  accessTokenClaims: text('access_token_claims'),
  /** 1 where its users need a second factor; null where the server's setting says. */
  requireFactor: whole('require_factor'),
  /** 1 or 0; null for what its grants say. */
  firstParty: whole('first_party'),
  /** 1 where people may sign up in the client. */
  signUp: whole('sign_up'),
})

/**
 * A fifth of each page stays free (`fillfactor`, in a migration), and nothing that changes at a rotation is in an index: a rotated
 * row finds room in its page, and no index grows.
 */
export const sessions = pgTable(
  'sessions',
  {
    id: key('id').primaryKey(),
    userId: key('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    clientId: key('client_id')
      .notNull()
      .references(() => clients.id, { onDelete: 'cascade' }),
    scope: text('scope').notNull(),
    /** Space-separated; empty for the server's own. */
    audience: text('audience').notNull(),
    generation: whole('generation').notNull(),
    parentGeneration: whole('parent_generation').notNull(),
    rotatedAt: whole('rotated_at').notNull(),
    createdAt: whole('created_at').notNull(),
    authTime: whole('auth_time').notNull(),
    /** Space-separated, RFC 8176. */
    amr: text('amr').notNull(),
    lastSeenAt: whole('last_seen_at').notNull(),
    idleExpiresAt: whole('idle_expires_at').notNull(),
    expiresAt: whole('expires_at').notNull(),
    revokedAt: whole('revoked_at'),
    revokedReason: text('revoked_reason'),
    device: text('device'),
    ip: text('ip'),
    userAgent: text('user_agent'),
    seenBeforeAt: whole('seen_before_at'),
    /** null where it is the same. */
    ipBefore: text('ip_before'),
    userAgentBefore: text('user_agent_before'),
    retriedElsewhereAt: whole('retried_elsewhere_at'),
    oldestGeneration: whole('oldest_generation'),
  },
  table => [
    // In the order of a user's sign-ins.
    index('sessions_user_id').on(table.userId, table.createdAt, table.id),
    // In the order in which they are locked when a client is removed.
    index('sessions_client_id').on(table.clientId, table.id),
  ],
)

/** What users prove to have beside their passwords. */
export const factors = pgTable(
  'factors',
  {
    id: key('id').primaryKey(),
    userId: key('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    kind: key('kind').notNull(),
    name: text('name'),
    createdAt: whole('created_at').notNull(),
    usedAt: whole('used_at'),
    /** In the form of its kind: see `users/factors/`. */
    data: text('data').notNull(),
    counter: whole('counter').notNull(),
    /** null for a kind without one. */
    handle: key('handle').unique('factors_handle'),
  },
  table => [index('factors_user_id').on(table.userId), index('factors_kind').on(table.kind, table.id)],
)

export const signingKeys = pgTable('signing_keys', {
  /** RFC 7638 thumbprint. */
  kid: key('kid').primaryKey(),
  alg: text('alg').notNull(),
  /** JWK Set member, JSON, public members only. */
  publicJwk: text('public_jwk').notNull(),
  /** Compact JWE of the private JWK, under a key derived from the master secret. */
  privateJwe: text('private_jwe').notNull(),
  createdAt: whole('created_at').notNull(),
  activatesAt: whole('activates_at').notNull(),
})

/** When servers make tokens under a master secret, by its name. */
export const masterSecrets = pgTable('master_secrets', {
  name: key('name').primaryKey(),
  usedSince: whole('used_since').notNull(),
  /** null where one process had the database for itself. */
  usedUntil: whole('used_until'),
})

/** Consumed identifiers of what counts once, until they expire anyway: those of client assertions, those of revoked access tokens. */
export const consumedIds = pgTable(
  'remembered_ids',
  {
    id: key('id').primaryKey(),
    expiresAt: whole('expires_at').notNull(),
  },
  table => [index('remembered_ids_expires_at').on(table.expiresAt)],
)

/** Requests that came with an `Idempotency-Key`, and what they were answered: sealed under the master secret, null while one is under way. */
export const keptAnswers = pgTable(
  'kept_answers',
  {
    id: key('id').primaryKey(),
    fingerprint: text('fingerprint').notNull(),
    answer: text('answer'),
    beganAt: whole('began_at').notNull(),
    expiresAt: whole('expires_at').notNull(),
  },
  table => [index('kept_answers_expires_at').on(table.expiresAt)],
)

/** Failed attempts that are not forgotten yet. `id` is a digest under the master secret: no name that was typed is here. */
export const attemptCounters = pgTable(
  'attempt_counters',
  {
    id: key('id').primaryKey(),
    emptyAt: whole('empty_at').notNull(),
    readyAt: whole('ready_at').notNull(),
    /** The later of the two: when the row means nothing any more. */
    expiresAt: whole('expires_at').notNull(),
  },
  table => [index('attempt_counters_expires_at').on(table.expiresAt)],
)

/** From where users and clients were let in before; digests under the master secret. */
export const knownNetworks = pgTable(
  'known_networks',
  {
    who: key('who').notNull(),
    network: key('network').notNull(),
    expiresAt: whole('expires_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.who, table.network] }),
    index('known_networks_expires_at').on(table.expiresAt),
  ],
)

/** Addresses that are told what happens, and how far each has come in the audit trail. */
export const webhooks = pgTable('webhooks', {
  id: key('id').primaryKey(),
  url: text('url').notNull(),
  /** Space-separated; null for all. */
  types: text('types'),
  /** Space-separated, newest first, each sealed under a master secret. */
  secrets: text('secrets').notNull(),
  createdAt: whole('created_at').notNull(),
  disabledAt: whole('disabled_at'),
  /** The last event that it is done with; both null for none. */
  afterId: whole('after_id'),
  afterAt: whole('after_at'),
  attempts: whole('attempts').notNull(),
  failingSince: whole('failing_since'),
  nextAttemptAt: whole('next_attempt_at'),
  lastError: text('last_error'),
  failedAt: whole('failed_at'),
})

/** Mails that are to be sent. There is no token and no text in it: both are made when it is sent. */
export const mails = pgTable(
  'mails',
  {
    id: key('id').primaryKey(),
    purpose: text('purpose').notNull(),
    /** null for somebody who is no user, whether that is to be a secret or not. */
    userId: key('user_id'),
    /** null for the address that the user has when it is sent. */
    address: text('address'),
    /** Of who asked for it; null for nobody. */
    language: text('language'),
    /** A JSON object of texts; null for an empty one. */
    about: text('about'),
    createdAt: whole('created_at').notNull(),
    nextAttemptAt: whole('next_attempt_at').notNull(),
    attempts: whole('attempts').notNull(),
    lastError: text('last_error'),
  },
  table => [index('mails_next_attempt_at').on(table.nextAttemptAt)],
)

/** How far something on the server has read the audit trail. */
export const trailReaders = pgTable('trail_readers', {
  name: key('name').primaryKey(),
  /** The last event that it is done with. */
  afterId: whole('after_id').notNull(),
  afterAt: whole('after_at').notNull(),
})

/** What one node at a time does. */
export const leases = pgTable('leases', {
  name: key('name').primaryKey(),
  holder: text('holder').notNull(),
  until: whole('until').notNull(),
})

/** One row: the last start of a server. Of a database that has never served there is none. */
export const lastStart = pgTable('last_start', {
  /** 1 */
  id: whole('id').primaryKey(),
  /** '' where that was not noted. */
  issuer: text('issuer').notNull(),
})

/** Rules that this database is not held to, as it was there before they were, or because the operator wants it so. A new one has none. */
export const relaxedRules = pgTable('relaxed_rules', {
  /** `unique_email` */
  rule: key('rule').primaryKey(),
})

/** Moves of all that is here: what came, and what has gone. See `storage/move.ts`. */
export const moves = pgTable('moves', {
  id: key('id').primaryKey(),
  /** `arriving`, `arrived` or `gone`. */
  state: text('state').notNull(),
  /** The other database, as operators call it. */
  place: text('place').notNull(),
  at: whole('at').notNull(),
})

/** Append-only by triggers in a migration: a row can't be changed, and only the oldest ones can go. */
export const auditEvents = pgTable(
  'audit_events',
  {
    id: whole('id').primaryKey().generatedByDefaultAsIdentity(),
    at: whole('at').notNull(),
    type: key('type').notNull(),
    userId: key('user_id'),
    clientId: text('client_id'),
    sessionId: text('session_id'),
    ip: text('ip'),
    requestId: text('request_id'),
    detail: text('detail'),
    /** null for one. */
    count: whole('count'),
  },
  // What happened to one user is what operators ask for, and a trail of years is too long to be read for it.
  table => [index('audit_events_user_id').on(table.userId, table.id).where(isNotNull(table.userId))],
)
