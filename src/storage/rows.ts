/** Rows of a database to records and back: `null` against absent, text against lists. Their names and types are the same in every dialect. */
import type { AuditEvent, PlacedEvent } from '../audit/audit.ts'
import type { Client, UserClaimName } from '../clients/client.ts'
import type { SigningKey } from '../keys/signing_key.ts'
import type { KeptAnswer, MasterSecretUse } from '../keys/storage.ts'
import type { Mail, MailPurpose } from '../mail/mail.ts'
import type { Language } from '../pages/language.ts'
import type { Session } from '../sessions/session.ts'
import { emailKey, usernameFold, usernameKey } from '../text.ts'
import type { Factor, FactorKind } from '../users/factors/factor.ts'
import { type EmailChange, type User, verifiedKey } from '../users/user.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import type {
  auditEvents,
  clients,
  factors,
  keptAnswers,
  mails,
  masterSecrets,
  sessions,
  signingKeys,
  users,
  webhooks,
} from './sqlite/schema.ts'

/** A row of a table. What only one dialect has may be missing. */
type Row<Table extends { $inferSelect: object }, Own extends keyof Table['$inferSelect']> = Omit<
  Table['$inferSelect'],
  Own
> &
  Partial<Pick<Table['$inferSelect'], Own>>

export function optional<Row, T>(row: Row | undefined, convert: (row: Row) => T): T | undefined {
  return row === undefined ? undefined : convert(row)
}

export function keptAnswer({ fingerprint, beganAt, answer }: typeof keptAnswers.$inferSelect): KeptAnswer {
  return { fingerprint, beganAt, answer: answer ?? undefined }
}

/** What of a user's row its record is made of: all but the forms in which names are looked for. */
export function recordColumns<Columns extends Record<'usernameKey' | 'usernameFold', unknown>>(
  columns: Columns,
): Omit<Columns, LookUpColumn> {
  const { usernameKey: _, usernameFold: __, importId: ___, ...record }: Columns & { importId?: unknown } = columns
  return record
}

type LookUpColumn = 'usernameKey' | 'usernameFold' | 'importId'

export function userFromRow({
  usernameKey: _,
  usernameFold: __,
  importId: ___,
  emailKey,
  verifiedEmailKey,
  emailVerifiedAt,
  emailChanges,
  language,
  deleteAt,
  ...row
}: Row<typeof users, LookUpColumn>): User {
  return {
    ...row,
    email: row.email ?? undefined,
    // A release that knows nothing of this may have given the user another address.
    ...(emailVerifiedAt !== null && verifiedEmailKey === emailKey && { emailVerifiedAt }),
    ...(emailChanges !== null && { emailChanges: emailChanges.split(' ').map(emailChangeFromText) }),
    fullName: row.fullName ?? undefined,
    roles: row.roles?.split(' '),
    passwordHash: row.passwordHash === '' ? undefined : row.passwordHash,
    disabledAt: row.disabledAt ?? undefined,
    ...(language !== null && { language: language as Language }),
    ...(deleteAt !== null && { deleteAt }),
  }
}

function emailChangeFromText(text: string): EmailChange {
  const [id = 0, at = 0] = text.split(':').map(Number)
  return { id, at }
}

export function userRow(user: User) {
  const [key, fold] = [usernameKey(user.username), usernameFold(user.username)]
  const address = optional(user.email, emailKey) ?? null
  const proved = verifiedKey(user) ?? null
  return {
    ...user,
    usernameKey: key,
    usernameFold: fold === key || fold === '' ? null : fold,
    email: user.email ?? null,
    emailKey: address,
    emailVerifiedAt: proved === null ? null : user.emailVerifiedAt!,
    verifiedEmailKey: proved,
    emailChanges: user.emailChanges?.map(({ id, at }) => `${id}:${at}`).join(' ') || null,
    fullName: user.fullName ?? null,
    language: user.language ?? null,
    roles: user.roles?.join(' ') ?? null,
    passwordHash: user.passwordHash ?? '',
    disabledAt: user.disabledAt ?? null,
    deleteAt: user.deleteAt ?? null,
  }
}

export function clientFromRow(row: typeof clients.$inferSelect): Client {
  return {
    id: row.id,
    authenticationMethods: row.authenticationMethods.split(' ') as Client['authenticationMethods'],
    secretDigests: row.secretDigests?.split(' ') ?? [],
    jwks: row.jwks === null ? undefined : JSON.parse(row.jwks),
    jwksUri: row.jwksUri ?? undefined,
    grantTypes: row.grantTypes === '' ? [] : row.grantTypes.split(' '),
    scope: row.scope,
    audience: row.audience?.split(' '),
    resources: row.resources?.split(' '),
    accessTokenLifetime: row.accessTokenLifetime ?? undefined,
    refreshIdleLifetime: row.refreshIdleLifetime ?? undefined,
    refreshAbsoluteLifetime: row.refreshAbsoluteLifetime ?? undefined,
    corsOrigins: row.corsOrigins?.split(' ') ?? [],
    createdAt: row.createdAt,
    disabledAt: row.disabledAt ?? undefined,
    ...(row.name !== null && { name: row.name }),
    accessTokenClaims: (row.accessTokenClaims?.split(' ') ?? []) as UserClaimName[],
    ...(row.requireFactor === 1 && { requireFactor: true }),
    ...(row.firstParty !== null && { firstParty: row.firstParty === 1 }),
    ...(row.signUp === 1 && { signUp: true }),
  }
}

export function clientRow(client: Client) {
  return {
    id: client.id,
    authenticationMethods: client.authenticationMethods.join(' '),
    secretDigests: client.secretDigests.length === 0 ? null : client.secretDigests.join(' '),
    jwks: client.jwks === undefined ? null : JSON.stringify(client.jwks),
    jwksUri: client.jwksUri ?? null,
    grantTypes: client.grantTypes.join(' '),
    scope: client.scope,
    audience: client.audience?.join(' ') ?? null,
    resources: client.resources?.join(' ') ?? null,
    accessTokenLifetime: client.accessTokenLifetime ?? null,
    refreshIdleLifetime: client.refreshIdleLifetime ?? null,
    refreshAbsoluteLifetime: client.refreshAbsoluteLifetime ?? null,
    corsOrigins: client.corsOrigins.length === 0 ? null : client.corsOrigins.join(' '),
    createdAt: client.createdAt,
    disabledAt: client.disabledAt ?? null,
    name: client.name ?? null,
    accessTokenClaims: client.accessTokenClaims.length === 0 ? null : client.accessTokenClaims.join(' '),
    requireFactor: client.requireFactor ? 1 : null,
    firstParty: client.firstParty === undefined ? null : Number(client.firstParty),
    signUp: client.signUp ? 1 : null,
  }
}

/** Of a session: none is the server's own. */
export function audienceFromText(text: string): readonly string[] {
  return text === '' ? [] : text.split(' ')
}

export function sessionFromRow(row: typeof sessions.$inferSelect): Session {
  return {
    ...row,
    audience: audienceFromText(row.audience),
    amr: row.amr.split(' '),
    revokedAt: row.revokedAt ?? undefined,
    revokedReason: (row.revokedReason as Session['revokedReason'] | null) ?? undefined,
    device: row.device ?? undefined,
    ip: row.ip ?? undefined,
    userAgent: row.userAgent ?? undefined,
    seenBeforeAt: row.seenBeforeAt ?? undefined,
    ipBefore: row.ipBefore ?? undefined,
    userAgentBefore: row.userAgentBefore ?? undefined,
    retriedElsewhereAt: row.retriedElsewhereAt ?? undefined,
    oldestGeneration: row.oldestGeneration ?? undefined,
  }
}

export function sessionRow(session: Session) {
  return {
    ...session,
    audience: session.audience.join(' '),
    amr: session.amr.join(' '),
    revokedAt: session.revokedAt ?? null,
    revokedReason: session.revokedReason ?? null,
    device: session.device ?? null,
    ip: session.ip ?? null,
    userAgent: session.userAgent ?? null,
    seenBeforeAt: session.seenBeforeAt ?? null,
    ipBefore: session.ipBefore ?? null,
    userAgentBefore: session.userAgentBefore ?? null,
    retriedElsewhereAt: session.retriedElsewhereAt ?? null,
    oldestGeneration: session.oldestGeneration ?? null,
  }
}

export function factorFromRow(row: typeof factors.$inferSelect): Factor {
  return {
    ...row,
    kind: row.kind as FactorKind,
    name: row.name ?? undefined,
    usedAt: row.usedAt ?? undefined,
    handle: row.handle ?? undefined,
  }
}

export function factorRow(factor: Factor) {
  return { ...factor, name: factor.name ?? null, usedAt: factor.usedAt ?? null, handle: factor.handle ?? null }
}

export function masterSecretUseFromRow({ usedUntil, ...row }: typeof masterSecrets.$inferSelect): MasterSecretUse {
  return usedUntil === null ? row : { ...row, usedUntil }
}

export function signingKeyFromRow(row: typeof signingKeys.$inferSelect): SigningKey {
  return { ...row, alg: row.alg as SigningKey['alg'], publicJwk: JSON.parse(row.publicJwk) }
}

export function auditRow(event: AuditEvent) {
  const {
    at,
    type,
    userId = null,
    clientId = null,
    sessionId = null,
    ip = null,
    requestId = null,
    detail = null,
    count = null,
  } = event
  return { at, type, userId, clientId, sessionId, ip, requestId, detail, count }
}

export function auditEventFromRow({ id: _, ...row }: typeof auditEvents.$inferSelect): AuditEvent {
  return placedEventFromRow(row) as AuditEvent
}

export function placedEventFromRow(row: Partial<typeof auditEvents.$inferSelect>): PlacedEvent {
  const present = Object.entries(row).filter(([, value]) => value !== null)
  return Object.fromEntries(present) as PlacedEvent
}

export function webhookRow({ types, secrets, after, ...webhook }: Webhook): typeof webhooks.$inferSelect {
  return {
    id: webhook.id,
    url: webhook.url,
    types: types.length === 0 ? null : types.join(' '),
    secrets: secrets.join(' '),
    createdAt: webhook.createdAt,
    disabledAt: webhook.disabledAt ?? null,
    afterId: after?.id ?? null,
    afterAt: after?.at ?? null,
    attempts: webhook.attempts,
    failingSince: webhook.failingSince ?? null,
    nextAttemptAt: webhook.nextAttemptAt ?? null,
    lastError: webhook.lastError ?? null,
    failedAt: webhook.failedAt ?? null,
  }
}

export function webhookFromRow({ types, secrets, afterId, afterAt, ...row }: typeof webhooks.$inferSelect): Webhook {
  return {
    id: row.id,
    url: row.url,
    types: types?.split(' ') ?? [],
    secrets: secrets.split(' '),
    createdAt: row.createdAt,
    disabledAt: row.disabledAt ?? undefined,
    after: afterId === null || afterAt === null ? undefined : { id: afterId, at: afterAt },
    attempts: row.attempts,
    failingSince: row.failingSince ?? undefined,
    nextAttemptAt: row.nextAttemptAt ?? undefined,
    lastError: row.lastError ?? undefined,
    failedAt: row.failedAt ?? undefined,
  }
}

export function mailRow(mail: Mail): typeof mails.$inferSelect {
  return {
    ...mail,
    userId: mail.userId ?? null,
    address: mail.address ?? null,
    language: mail.language ?? null,
    about: mail.about === undefined ? null : JSON.stringify(mail.about),
    lastError: mail.lastError ?? null,
  }
}

export function mailFromRow(row: typeof mails.$inferSelect): Mail {
  return {
    id: row.id,
    purpose: row.purpose as MailPurpose,
    ...(row.userId !== null && { userId: row.userId }),
    ...(row.address !== null && { address: row.address }),
    ...(row.language !== null && { language: row.language as Language }),
    ...(row.about !== null && { about: JSON.parse(row.about) }),
    createdAt: row.createdAt,
    nextAttemptAt: row.nextAttemptAt,
    attempts: row.attempts,
    ...(row.lastError !== null && { lastError: row.lastError }),
  }
}
