/** What operators do to clients. */
import { adminScopesOf, coversScope } from '../clients/admin_client.ts'
import { type Client, clientProblem, clientUpdate, hasSecret, isPublic } from '../clients/client.ts'
import { addSecretDigest, createClientSecret, digestClientSecret } from '../clients/client_secret.ts'
import type { OAuthConfig } from '../oauth/deps.ts'
import { printableBrief } from '../printable.ts'
import { readClientSecret } from './client_settings.ts'
import { type Actor, actorEvent, type Insist, type Needs } from './deps.ts'
import { BeyondScope, Conflict, InvalidMember, NotFound } from './error.ts'
import { countTouchedSessions } from './touched_sessions.ts'

export type ClientDocument = ReturnType<typeof describeClient>

/** A secret that was made here, in the one answer that shows it. */
export type ShownSecret = Readonly<{ client_secret?: string }>

/** The settings of the server that bear on its clients. */
export type ServerSettings = Pick<OAuthConfig, 'audience'> &
  Readonly<{
    /** Whether keys may be fetched without TLS. */
    privateJwksUris: boolean
  }>

/** @param secret one that was made elsewhere @throws InvalidMember, Conflict, BeyondScope */
export async function addClient(
  { storage, secrets, now, randomBytes }: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>,
  draft: Omit<Client, 'createdAt'>,
  { secret: given, server }: Readonly<{ secret?: string | undefined; server: ServerSettings }>,
  actor: Actor,
): Promise<ClientDocument & ShownSecret> {
  insistOnAuthority(actor, draft)
  const at = now()
  const unsecured = { ...draft, createdAt: at }
  const secret =
    given !== undefined || hasSecret(draft) ? await newSecret({ secrets, randomBytes }, draft, given) : undefined
  const client = insistOnSense(secret === undefined ? unsecured : addSecretDigest(unsecured, secret.digest), server)
  const event = actorEvent(actor, 'client.created', at, { clientId: client.id })
  if (!(await storage.createClient(client, event)))
    throw new Conflict('client_exists', `there is a client ${client.id} already`)
  return { ...describeClient(client), ...secret?.shown }
}

/**
 * Changes what `settings` names; sessions live on, from their next refresh with what is left.
 *
 * @returns as well how many live sessions get something else then
 * @throws NotFound, InvalidMember, Stale, BeyondScope
 */
export async function updateClient(
  { storage, secrets, now, randomBytes }: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>,
  id: string,
  settings: Partial<Client>,
  server: ServerSettings,
  actor: Actor,
  insist: Insist<ClientDocument> = () => {},
): Promise<ClientDocument & ShownSecret & { sessions_touched: number }> {
  const before = await getClient({ storage }, id)
  const after = { ...before, ...settings }
  const secret =
    hasSecret(after) && !hasSecret(before) ? await newSecret({ secrets, randomBytes }, after, undefined) : undefined
  const changed = await storage.changeClient(
    id,
    clientUpdate(
      client => {
        insistOn(client, insist, actor)
        const next = withoutWhatIsNotUsed({ ...client, ...settings }, settings)
        insistOnAuthority(actor, next)
        const needsSecret = hasSecret(next) && next.secretDigests.length === 0
        return insistOnSense(needsSecret && secret !== undefined ? addSecretDigest(next, secret.digest) : next, server)
      },
      actorEvent(actor, 'client.updated', now(), { clientId: id, detail: Object.keys(settings).join(' ') }),
    ),
  )
  // Removed meanwhile.
  if (changed === undefined) return gone(id)
  const touched = await countTouchedSessions({ storage, now }, server, before, changed)
  return { ...describeClient(changed), ...secret?.shown, sessions_touched: touched }
}

/** Secrets and keys of a method that the client has no longer; those just given are looked at by {@link clientProblem}. */
function withoutWhatIsNotUsed(client: Client, given: Partial<Client>): Client {
  const keepsKeys = client.authenticationMethods.includes('private_key_jwt') || 'jwks' in given || 'jwksUri' in given
  return {
    ...client,
    ...(!hasSecret(client) && { secretDigests: [] }),
    ...(!keepsKeys && { jwks: undefined, jwksUri: undefined }),
  }
}

function insistOnSense(client: Client, { privateJwksUris }: ServerSettings): Client {
  const isPlain = client.jwksUri?.startsWith('https:') === false
  const problem =
    clientProblem(client) ??
    (isPlain && !privateJwksUris
      ? 'the jwks_uri of a client is https, unless LATCHKEY_PRIVATE_JWKS_URIS is on'
      : undefined)
  if (problem !== undefined) throw new InvalidMember(undefined, problem)
  return client
}

export async function listClients({ storage }: Needs<'storage'>): Promise<ClientDocument[]> {
  return (await storage.listClients()).map(describeClient)
}

/** @throws NotFound */
export async function showClient({ storage }: Needs<'storage'>, id: string): Promise<ClientDocument> {
  return describeClient(await getClient({ storage }, id))
}

/** @throws NotFound, and Conflict when the client has no secret */
export async function getClientWithSecret({ storage }: Needs<'storage'>, id: string): Promise<Client> {
  const client = await getClient({ storage }, id)
  if (hasSecret(client)) return client
  const why = isPublic(client) ? 'is a public client' : 'authenticates by its keys'
  throw new Conflict('client_has_no_secret', `${id} ${why}: it has no secret`)
}

/**
 * Adds a secret; the one before stays good until the next time.
 *
 * @param how.secret one that was made elsewhere
 * @param how.endOld ends the old ones at once
 * @throws NotFound, Conflict, InvalidMember
 */
export async function rotateClientSecret(
  { storage, secrets, now, randomBytes }: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>,
  id: string,
  how: Readonly<{ secret?: string | undefined; endOld: boolean }>,
  actor: Actor,
  insist: Insist<ClientDocument> = () => {},
): Promise<ClientDocument & ShownSecret> {
  const client = await getClientWithSecret({ storage }, id)
  const secret = await newSecret({ secrets, randomBytes }, client, how.secret)
  const changed = await storage.changeClient(
    id,
    clientUpdate(
      current => {
        insistOn(current, insist, actor)
        return addSecretDigest(how.endOld ? { ...current, secretDigests: [] } : current, secret.digest)
      },
      actorEvent(actor, 'client.secret_rotated', now(), { clientId: id }),
    ),
  )
  return { ...describeClient(changed ?? gone(id)), ...secret.shown }
}

/** Ends the secret before the newest. @returns as well whether there was one @throws NotFound */
export async function dropOldClientSecret(
  { storage, now }: Needs<'storage' | 'now'>,
  id: string,
  actor: Actor,
  insist: Insist<ClientDocument> = () => {},
): Promise<{ document: ClientDocument; hadOne: boolean }> {
  const client = await getClient({ storage }, id)
  const changed = await storage.changeClient(
    id,
    clientUpdate(
      current => {
        insistOn(current, insist, actor)
        const { secretDigests } = current
        return secretDigests.length > 1 ? { ...current, secretDigests: secretDigests.slice(0, 1) } : undefined
      },
      actorEvent(actor, 'client.old_secret_dropped', now(), { clientId: id }),
    ),
  )
  return { document: describeClient(changed ?? client), hadOne: changed !== undefined }
}

/** Disables a client, every request of which is refused then, or enables one. @throws NotFound */
export async function setClientDisabled(
  { storage, now }: Needs<'storage' | 'now'>,
  id: string,
  disabled: boolean,
  actor: Actor,
  insist: Insist<ClientDocument> = () => {},
): Promise<ClientDocument> {
  await getClient({ storage }, id)
  const event = actorEvent(actor, disabled ? 'client.disabled' : 'client.enabled', now(), { clientId: id })
  await storage.changeClient(
    id,
    clientUpdate(client => {
      insistOn(client, insist, actor)
      if (disabled === (client.disabledAt !== undefined)) return undefined
      return { ...client, disabledAt: disabled ? event.at : undefined }
    }, event),
  )
  return showClient({ storage }, id)
}

/** Removes a client with all its sessions. @throws NotFound */
export async function removeClient(
  { storage, now }: Needs<'storage' | 'now'>,
  id: string,
  actor: Actor,
  insist: Insist<ClientDocument> = () => {},
): Promise<{ removed: string }> {
  const event = actorEvent(actor, 'client.removed', now(), { clientId: id })
  if (!(await storage.removeClient(id, event, client => insistOn(client, insist, actor)))) gone(id)
  return { removed: id }
}

/** @throws NotFound */
export async function getClient({ storage }: Needs<'storage'>, id: string): Promise<Client> {
  const client = await storage.findClient(id)
  return client ?? gone(id)
}

function gone(id: string): never {
  throw new NotFound(`there is no client ${printableBrief(id)}`)
}

/** What somebody has seen before, and may change at all. */
function insistOn(client: Client, insist: Insist<ClientDocument>, actor: Actor): void {
  insistOnAuthority(actor, client)
  insist(describeClient(client))
}

/**
 * Nobody gets at more of the admin API than they have: neither by making a client that has it nor by taking one over, whose secret, keys
 * or scope they would set.
 */
function insistOnAuthority({ scopes }: Actor, client: Pick<Client, 'id' | 'scope'>): void {
  const beyond = scopes && adminScopesOf(client.scope).filter(scope => !coversScope(scopes, scope))
  if (beyond === undefined || beyond.length === 0) return
  throw new BeyondScope(
    beyond.join(' '),
    `the client ${client.id} has what your access token has not: ${beyond.join(' ')}`,
  )
}

/** One that was given is known already, and not shown. */
async function newSecret(
  { secrets, randomBytes }: Needs<'secrets' | 'randomBytes'>,
  client: Pick<Client, 'authenticationMethods'>,
  given: string | undefined,
): Promise<{ digest: string; shown: ShownSecret }> {
  const secret = given === undefined ? createClientSecret(randomBytes) : readClientSecret(given, client)
  const [masterSecret] = await secrets()
  return {
    digest: digestClientSecret(secret, masterSecret),
    shown: given === undefined ? { client_secret: secret } : {},
  }
}

/** Member names of RFC 7591 §2 where it has one. */
function describeClient(client: Client) {
  return {
    client_id: client.id,
    client_name: client.name ?? null,
    public: isPublic(client),
    token_endpoint_auth_methods: client.authenticationMethods,
    secrets: client.secretDigests.length,
    jwks: client.jwks ?? null,
    jwks_uri: client.jwksUri ?? null,
    grant_types: client.grantTypes,
    scope: client.scope,
    audience: client.audience ?? null,
    resources: client.resources ?? null,
    access_token_ttl: client.accessTokenLifetime ?? null,
    refresh_idle_ttl: client.refreshIdleLifetime ?? null,
    refresh_absolute_ttl: client.refreshAbsoluteLifetime ?? null,
    cors_origins: client.corsOrigins,
    access_token_claims: client.accessTokenClaims,
    first_party: client.firstParty ?? null,
    require_factor: client.requireFactor === true,
    sign_up: client.signUp === true,
    created_at: client.createdAt,
    disabled_at: client.disabledAt ?? null,
  }
}
