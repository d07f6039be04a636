/**
 * The tables in SQLite. Instants and durations are integer seconds. Column names are the same in every dialect.
 * What is nullable here is `null` in a row and absent in the records of `oauth/`.
 */
import { isNotNull } from '../drizzle.ts'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from './drizzle.ts'

export const users = sqliteTable(
  'users',
  {
    id: text('id').primaryKey(),
    username: text('username').notNull(),
    /** The form in which usernames are looked up: NFC, without case. */
    usernameKey: text('username_key').notNull().unique(),
    email: text('email'),
    fullName: text('full_name'),
    /** '' for a user without a password. */
    passwordHash: text('password_hash').notNull(),
    /** Raised by everything that invalidates a verified password: a new password, disabling. */
    credentialVersion: integer('credential_version').notNull(),
    createdAt: integer('created_at').notNull(),
    disabledAt: integer('disabled_at'),
    /** The form in which a new username must be free, where it is another: NFKC, without case and what nobody sees. Not unique: older names were not compared in it. */
    usernameFold: text('username_fold'),
    /** The import that the user came with, if it was one of many: nobody is there as long as that is pending. */
    importId: integer('import_id'),
    /** Space-separated; null for none. */
    roles: text('roles'),
    /** The form in which addresses are compared, `usernameFold`'s. Not unique: see `relaxedRules`. */
    emailKey: text('email_key'),
    /** When it was proved that the user reads what is sent to an address: that of `verifiedEmailKey`, which counts as long as it is `emailKey`. */
    emailVerifiedAt: integer('email_verified_at'),
    verifiedEmailKey: text('verified_email_key'),
    /** Changes of the address that can be undone, the oldest first: the credential version that each made, a colon and its instant, with spaces between; null for none. */
    emailChanges: text('email_changes'),
    /** BCP 47; null for what the browser says. */
    language: text('language'),
    /** When the user is removed, who is disabled until then. */
    deleteAt: integer('delete_at'),
  },
  table => [
    index('users_username_fold').on(table.usernameFold).where(isNotNull(table.usernameFold)),
    index('users_email_key').on(table.emailKey).where(isNotNull(table.emailKey)),
    uniqueIndex('users_verified_email').on(table.verifiedEmailKey).where(isNotNull(table.verifiedEmailKey)),
    index('users_delete_at').on(table.deleteAt).where(isNotNull(table.deleteAt)),
  ],
)

/** Usernames that were somebody's a short while ago: nobody else gets them. */
export const reservedUsernames = sqliteTable(
  'reserved_usernames',
  {
    /** In the form in which a new username must be free, as `usernameFold` makes it. */
    fold: text('fold').primaryKey(),
    /** Who may have it again; that user may be gone. */
    userId: text('user_id').notNull(),
    until: integer('until').notNull(),
  },
  table => [index('reserved_usernames_user_id').on(table.userId), index('reserved_usernames_until').on(table.until)],
)

/** Imports that are not whole yet. The users of one are there from the moment that its row is gone. */
export const pendingImports = sqliteTable('pending_imports', {
  /** Never used again: users keep it. */
  id: integer('id').primaryKey({ autoIncrement: true }),
  /** When its process last wrote. */
  seenAt: integer('seen_at').notNull(),
  /** No user with a smaller rowid is of this import. */
  firstRow: integer('first_row').notNull(),
  /** 1 when somebody has taken one of its names, 2 when its users are being removed: it must not be ended as if it were whole. */
  lost: integer('lost').notNull(),
})

export const clients = sqliteTable('clients', {
  id: text('id').primaryKey(),
  /** Space-separated; every method that the client may use. */
  authenticationMethods: text('authentication_methods').notNull().default('client_secret_basic client_secret_post'),
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
  accessTokenLifetime: integer('access_token_lifetime'),
  refreshIdleLifetime: integer('refresh_idle_lifetime'),
  refreshAbsoluteLifetime: integer('refresh_absolute_lifetime'),
  /** Space-separated. */
  corsOrigins: text('cors_origins'),
  createdAt: integer('created_at').notNull(),
  disabledAt: integer('disabled_at'),
  /** What people call it; null for its id. */
  name: text('name'),
  /** Space-separated; null for none. */
  accessTokenClaims: text('access_token_claims'),
  /** 1 where its users need a second factor; null where the server's setting says. */
  requireFactor: integer('require_factor'),
  /** 1 or 0; null for what its grants say. */
  firstParty: integer('first_party'),
  /** 1 where people may sign up in the client. */
  signUp: integer('sign_up'),
})

export const sessions = sqliteTable(
  'sessions',
  {
    id: text('id').primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.id, { onDelete: 'cascade' }),
    scope: text('scope').notNull(),
    /** Space-separated; empty for the server's own. */
    audience: text('audience').notNull(),
    generation: integer('generation').notNull(),
    parentGeneration: integer('parent_generation').notNull(),
    rotatedAt: integer('rotated_at').notNull(),
    createdAt: integer('created_at').notNull(),
    authTime: integer('auth_time').notNull(),
    /** Space-separated, RFC 8176. */
    amr: text('amr').notNull(),
    lastSeenAt: integer('last_seen_at').notNull(),
    idleExpiresAt: integer('idle_expires_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
    revokedAt: integer('revoked_at'),
    revokedReason: text('revoked_reason'),
    device: text('device'),
    ip: text('ip'),
    userAgent: text('user_agent'),
    /** null in rows of older versions; never after, so that a row keeps its size. */
    seenBeforeAt: integer('seen_before_at'),
    /** null where it is the same. */
    ipBefore: text('ip_before'),
    userAgentBefore: text('user_agent_before'),
    retriedElsewhereAt: integer('retried_elsewhere_at'),
    oldestGeneration: integer('oldest_generation'),
  },
  table => [
    index('sessions_user_id').on(table.userId),
    // Only for the cascade when a client is removed; a rotation never touches it.
    index('sessions_client_id').on(table.clientId),
  ],
)

/** What users prove to have beside their passwords. */
export const factors = sqliteTable(
  'factors',
  {
    id: text('id').primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    kind: text('kind').notNull(),
    name: text('name'),
    createdAt: integer('created_at').notNull(),
    usedAt: integer('used_at'),
    /** In the form of its kind: see `users/factors/`. */
    data: text('data').notNull(),
    counter: integer('counter').notNull(),
    /** null for a kind without one. */
    handle: text('handle').unique(),
  },
  table => [index('factors_user_id').on(table.userId), index('factors_kind').on(table.kind, table.id)],
)

export const signingKeys = sqliteTable('signing_keys', {
  /** RFC 7638 thumbprint. */
  kid: text('kid').primaryKey(),
  alg: text('alg').notNull(),
  /** JWK Set member, JSON, public members only. */
  publicJwk: text('public_jwk').notNull(),
  /** Compact JWE of the private JWK, under a key derived from the master secret. */
  privateJwe: text('private_jwe').notNull(),
  createdAt: integer('created_at').notNull(),
  activatesAt: integer('activates_at').notNull(),
})

/** When servers make tokens under a master secret, by its name. */
export const masterSecrets = sqliteTable('master_secrets', {
  name: text('name').primaryKey(),
  usedSince: integer('used_since').notNull(),
  /** null where one process has the database for itself. */
  usedUntil: integer('used_until'),
})

/** Consumed identifiers of what counts once, until they expire anyway: those of client assertions, those of revoked access tokens. */
export const consumedIds = sqliteTable(
  'remembered_ids',
  {
    id: text('id').primaryKey(),
    expiresAt: integer('expires_at').notNull(),
  },
  table => [index('remembered_ids_expires_at').on(table.expiresAt)],
)

/** Requests that came with an `Idempotency-Key`, and what they were answered: sealed under the master secret, null while one is under way. */
export const keptAnswers = sqliteTable(
  'kept_answers',
  {
    id: text('id').primaryKey(),
    fingerprint: text('fingerprint').notNull(),
    answer: text('answer'),
    beganAt: integer('began_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  table => [index('kept_answers_expires_at').on(table.expiresAt)],
)

/** Failed attempts that are not forgotten yet. `id` is a digest under the master secret: no name that was typed is here. */
export const attemptCounters = sqliteTable(
  'attempt_counters',
  {
    id: text('id').primaryKey(),
    emptyAt: integer('empty_at').notNull(),
    readyAt: integer('ready_at').notNull(),
    /** The later of the two: when the row means nothing any more. */
    expiresAt: integer('expires_at').notNull(),
  },
  table => [index('attempt_counters_expires_at').on(table.expiresAt)],
)

/** From where users and clients were let in before; digests under the master secret. */
export const knownNetworks = sqliteTable(
  'known_networks',
  {
    who: text('who').notNull(),
    network: text('network').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.who, table.network] }),
    index('known_networks_expires_at').on(table.expiresAt),
  ],
)

/** Addresses that are told what happens, and how far each has come in the audit trail. */
export const webhooks = sqliteTable('webhooks', {
  id: text('id').primaryKey(),
  url: text('url').notNull(),
  /** Space-separated; null for all. */
  types: text('types'),
  /** Space-separated, newest first, each sealed under a master secret. */
  secrets: text('secrets').notNull(),
  createdAt: integer('created_at').notNull(),
  disabledAt: integer('disabled_at'),
  /** The last event that it is done with; both null for none. */
  afterId: integer('after_id'),
  afterAt: integer('after_at'),
  attempts: integer('attempts').notNull(),
  failingSince: integer('failing_since'),
  nextAttemptAt: integer('next_attempt_at'),
  lastError: text('last_error'),
  failedAt: integer('failed_at'),
})

/** Mails that are to be sent. There is no token and no text in it: both are made when it is sent. */
export const mails = sqliteTable(
  'mails',
  {
    id: text('id').primaryKey(),
    purpose: text('purpose').notNull(),
    /** null for somebody who is no user, whether that is to be a secret or not. */
    userId: text('user_id'),
    /** null for the address that the user has when it is sent. */
    address: text('address'),
    /** Of who asked for it; null for nobody. */
    language: text('language'),
    /** A JSON object of texts; null for an empty one. */
    about: text('about'),
    createdAt: integer('created_at').notNull(),
    nextAttemptAt: integer('next_attempt_at').notNull(),
    attempts: integer('attempts').notNull(),
    lastError: text('last_error'),
  },
  table => [index('mails_next_attempt_at').on(table.nextAttemptAt)],
)

/** How far something on the server has read the audit trail. */
export const trailReaders = sqliteTable('trail_readers', {
  name: text('name').primaryKey(),
  /** The last event that it is done with. */
  afterId: integer('after_id').notNull(),
  afterAt: integer('after_at').notNull(),
})

/** What one node at a time does. */
export const leases = sqliteTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  until: integer('until').notNull(),
})

/** One row: the last start of a server. Of a database that has never served there is none. */
export const lastStart = sqliteTable('last_start', {
  /** 1 */
  id: integer('id').primaryKey(),
  /** '' where that was not noted. */
  issuer: text('issuer').notNull(),
})

/** Rules that this database is not held to, as it was there before they were, or because the operator wants it so. A new one has none. */
export const relaxedRules = sqliteTable('relaxed_rules', {
  /** `unique_email` */
  rule: text('rule').primaryKey(),
})

/** Moves of all that is here: what came, and what has gone. See `storage/move.ts`. */
export const moves = sqliteTable('moves', {
  id: text('id').primaryKey(),
  /** `arriving`, `arrived` or `gone`. */
  state: text('state').notNull(),
  /** The other database, as operators call it. */
  place: text('place').notNull(),
  at: integer('at').notNull(),
})

/** Append-only by triggers in its migration: a row can't be changed, and only the oldest one can go. */
export const auditEvents = sqliteTable(
  'audit_events',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    at: integer('at').notNull(),
    type: text('type').notNull(),
    userId: text('user_id'),
    clientId: text('client_id'),
    sessionId: text('session_id'),
    ip: text('ip'),
    requestId: text('request_id'),
    detail: text('detail'),
    /** null for one. */
    count: integer('count'),
  },
  table => [index('audit_events_user_id').on(table.userId, table.id).where(isNotNull(table.userId))],
)
