/**
 * Which master secret is used to make, where several nodes each read their own: a new one first when all of them had the time to learn
 * of it. What was made under one that this node does not have is no reason to sign anybody out.
 */
import { auditEvent } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecret, MasterSecrets } from './master_secret.ts'
import type { KeyStorage, MasterSecretUse } from './storage.ts'

/** Seconds from when one node has a new secret until one uses it: others read theirs every few seconds, and get it later. */
export const secretLead = 300
/** Seconds for which a node says that it uses a secret; it says so again in half of the time. */
export const useNoted = 120
/** Seconds after the last use of a secret that another node had: for that long this one may lack it by mistake. */
const maxLag = 86_400

export type SecretsInUse = Readonly<{
  /** The first one is used to make. */
  secrets: MasterSecrets
  /** Used before all others: what is counted is named by it, the same at all nodes. */
  oldest: MasterSecret
}>

/**
 * @param read as the operator wrote them, the newest first
 * @param uses by any node. Without one that has begun, the first is used
 */
export function inOrderOfUse(read: MasterSecrets, uses: readonly MasterSecretUse[], now: number): SecretsInUse {
  const since = new Map(uses.map(({ name, usedSince }) => [name, usedSince]))
  const sinceOf = ({ name }: MasterSecret) => since.get(name) ?? Number.POSITIVE_INFINITY
  const first = read.find(secret => sinceOf(secret) <= now) ?? read[0]
  const others = read.filter(secret => secret !== first)
  // Where nothing is known, the last one.
  const oldest = read.reduce((one, other) => (sinceOf(one) < sinceOf(other) ? one : other))
  return { secrets: [first, ...others], oldest }
}

type UseDeps = Readonly<{
  storage: Pick<KeyStorage, 'listMasterSecretUses' | 'noteMasterSecret'>
  now: () => number
}>

/**
 * Announces a new master secret.
 *
 * @param read as the operator wrote them, the newest first
 * @param lead seconds until it is used, where an older one is in use
 */
export async function takeIntoUse({ storage, now }: UseDeps, read: MasterSecrets, lead: number): Promise<SecretsInUse> {
  const at = now()
  const [{ name }] = read
  const uses = await storage.listMasterSecretUses()
  if (uses.some(use => use.name === name)) return inOrderOfUse(read, uses, at)
  const isFirst = !read.some(secret => uses.some(use => use.name === secret.name))
  const usedSince = isFirst ? at : at + lead
  await storage.noteMasterSecret({ name, usedSince }, auditEvent('secret.in_use', at, {}, { detail: name }))
  // Another node may have been first.
  return inOrderOfUse(read, await storage.listMasterSecretUses(), at)
}

/** Says for how long this node may go on to make tokens under a secret. Until then `secret status` counts what it makes as made under it. */
export async function noteUse({ storage, now }: UseDeps, { name }: MasterSecret): Promise<void> {
  const at = now()
  const use = (await storage.listMasterSecretUses()).find(one => one.name === name)
  if (use?.usedUntil !== undefined && use.usedUntil >= at + useNoted / 2) return
  const noted = { name, usedSince: at, usedUntil: at + useNoted }
  await storage.noteMasterSecret(noted, auditEvent('secret.in_use', at, {}, { detail: name }))
}

/**
 * For what cannot be read here.
 *
 * @param name of the master secret that it says to be made under
 * @throws OAuthError `temporarily_unavailable` when other nodes have that one
 */
export async function insistThatNoOtherHas(
  deps: Readonly<{ storage: Pick<KeyStorage, 'listMasterSecretUses'>; secrets: MasterSecrets; now: () => number }>,
  name: string | undefined,
): Promise<void> {
  if (name === undefined || deps.secrets.some(secret => secret.name === name)) return
  const use = (await deps.storage.listMasterSecretUses()).find(one => one.name === name)
  if (use?.usedUntil === undefined || use.usedUntil + maxLag < deps.now()) return
  throw new OAuthError('temporarily_unavailable', 'this node does not have a master secret that others use', {
    cause: `master secret ${name}`,
    retryAfter: 10,
  })
}
