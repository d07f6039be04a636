/** Records as the contract of the storage writes them, and what a test does with them. */
import { type AuditEvent, type AuditEventType, auditEvent } from '../../src/audit/audit.ts'
import type { Client } from '../../src/clients/client.ts'
import type { SigningKey } from '../../src/keys/signing_key.ts'
import { decideRefresh, type RefreshDecision, type RefreshPolicy, refreshChange } from '../../src/sessions/refresh.ts'
import { createSession, type Session } from '../../src/sessions/session.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { User } from '../../src/users/user.ts'
import { startTime as start } from '../_server.ts'

export const policy: RefreshPolicy = {
  idleLifetime: 1000,
  absoluteLifetime: 5000,
  retryWindow: 60,
  lateRetryWindow: 1000,
}
export const caller = { ip: '192.0.2.7', userAgent: 'test', requestId: 'request-1' }

export const event = (type: AuditEventType, at = start): AuditEvent => auditEvent(type, at, caller)

export function user(username: string, changes: Partial<User> = {}): User {
  return {
    id: `usr_${username}`,
    username,
    email: undefined,
    fullName: undefined,
    roles: undefined,
    passwordHash: 'hash',
    credentialVersion: 1,
    createdAt: start,
    disabledAt: undefined,
    ...changes,
  }
}

export function client(id: string, changes: Partial<Client> = {}): Client {
  return {
    id,
    authenticationMethods: ['none'],
    secretDigests: [],
    jwks: undefined,
    jwksUri: undefined,
    grantTypes: ['password', 'refresh_token'],
    scope: 'read write',
    audience: undefined,
    resources: undefined,
    accessTokenLifetime: undefined,
    refreshIdleLifetime: undefined,
    refreshAbsoluteLifetime: undefined,
    corsOrigins: [],
    accessTokenClaims: [],
    createdAt: start,
    disabledAt: undefined,
    ...changes,
  }
}

export function session(id: string, changes: Partial<Session> = {}): Session {
  const signIn = {
    id,
    userId: 'usr_alice',
    clientId: 'app',
    scope: 'read write',
    audience: ['https://api.example.com', 'https://files.example.com'],
    amr: ['pwd'],
    device: 'phone',
    ip: '192.0.2.1',
    userAgent: 'curl',
  }
  const absent = {
    revokedAt: undefined,
    revokedReason: undefined,
    ipBefore: undefined,
    userAgentBefore: undefined,
    retriedElsewhereAt: undefined,
    oldestGeneration: undefined,
  }
  return { ...absent, ...createSession(signIn, start, policy), ...changes }
}

export function signingKey(kid: string, createdAt = start): SigningKey {
  const publicJwk = { kty: 'OKP', crv: 'Ed25519', x: 'x', use: 'sig', alg: 'EdDSA', kid }
  return { kid, alg: 'EdDSA', publicJwk, privateJwe: 'jwe', createdAt, activatesAt: createdAt + 330 }
}

/** Alice and Bob, the clients `app` and `web`, and the sessions given. */
export async function populate(storage: Storage, ...sessions: Session[]) {
  await storage.createUsers([user('alice'), user('bob')], event('user.created'))
  for (const id of ['app', 'web']) await storage.createClient(client(id), event('client.created'))
  for (const one of sessions) {
    const created = await storage.createSession(one, { version: 1 }, event('session.created', one.createdAt))
    if (!created) throw new Error(`session ${one.id} was refused`)
  }
}

/** The types of all events since {@link populate}, oldest first. */
export async function auditTypes(storage: Storage): Promise<AuditEventType[]> {
  const types = (await storage.listAuditEvents(1000)).map(({ type }) => type).toReversed()
  return types.slice(types.lastIndexOf('session.created') + 1)
}

export async function auditCount(storage: Storage): Promise<number> {
  return (await storage.listAuditEvents(1000)).length
}

export const ids = (sessions: readonly Session[]) => sessions.map(({ id }) => id)

/** What the refresh grant does with a decision. */
export const decideSession = (
  storage: Storage,
  id: string,
  decide: (row: Session | undefined) => RefreshDecision,
  now = start,
) => storage.changeSession(id, row => refreshChange(decide(row), now, caller))

export const refresh = (storage: Storage, id: string, generation: number, now = start) =>
  decideSession(
    storage,
    id,
    row => decideRefresh(row, { sessionId: id, generation, clientId: 'app' }, now, policy),
    now,
  )
