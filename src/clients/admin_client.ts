/**
 * Clients of the admin API: programs of operators. They have scopes of their own and no others, so that a token is either for the admin API
 * or for other resource servers, and no user can ever sign in to one.
 */
const nouns = ['users', 'sessions', 'clients', 'keys', 'audit'] as const

type Noun = (typeof nouns)[number]
/** The one that ends in `:read` only looks; the other one may do all that there is. */
export type AdminScope = `admin:${Noun}` | `admin:${Noun}:read`

export const adminScopes: readonly AdminScope[] = nouns.flatMap(
  noun => [`admin:${noun}`, `admin:${noun}:read`] as const,
)

const known: ReadonlySet<string> = new Set(adminScopes)

/** Seconds: what was taken from such a client, or is stolen, is soon worth nothing wherever it was copied to. */
export const maxAdminTokenLifetime = 300

/** What of a client's record says whether it is one. */
type Grants = Readonly<{ scope: string; grantTypes: readonly string[] }>

/** @returns the scope tokens that are for the admin API */
export function adminScopesOf(scope: string): readonly string[] {
  // On the way of every refresh: hardly any client has one.
  return scope.includes('admin:') ? scope.split(' ').filter(token => known.has(token)) : []
}

export function isAdminClient(client: Grants): boolean {
  return adminScopesOf(client.scope).length > 0 && adminScopeProblem(client) === undefined
}

/** @returns why a client cannot have its admin scopes; undefined where it can, or has none */
export function adminScopeProblem({ scope, grantTypes }: Grants): string | undefined {
  const own = adminScopesOf(scope)
  if (own.length === 0) return undefined
  if (grantTypes.some(type => type !== 'client_credentials'))
    return `${own[0]} is for the admin API: such a client has no grant but client_credentials`
  if (own.length < scope.split(' ').length)
    return `${own[0]} is for the admin API: such a client has no other scope beside those`
  return undefined
}

/** What a client can be granted of its scope. */
export function grantableScope(client: Grants): string {
  const own = adminScopesOf(client.scope)
  if (own.length === 0 || isAdminClient(client)) return client.scope
  // A record from before these names meant anything.
  return client.scope
    .split(' ')
    .filter(token => !own.includes(token))
    .join(' ')
}

/** What a client may ask for of what it has: to look alone, where it may change things too. */
export function askableScope(client: Grants): string {
  const scope = grantableScope(client)
  const implied = adminScopesOf(scope).filter(token => !token.endsWith(':read'))
  return [scope, ...implied.map(token => `${token}:read`)].join(' ')
}

/** Whether somebody who has some admin scopes may do what needs one: to change things implies to look at them. */
export function coversScope(has: readonly string[], needed: string): boolean {
  return has.includes(needed) || (needed.endsWith(':read') && has.includes(needed.slice(0, -':read'.length)))
}
