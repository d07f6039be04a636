/** What operators do to master secrets, but for where these are kept. */
import { masterSecretOfDigest } from '../clients/client_secret.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { sealedUnder } from '../keys/sealed_text.ts'
import { masterSecretOf, reencryptSigningKey } from '../keys/signing_key.ts'
import type { MasterSecretUse } from '../keys/storage.ts'
import { countFactorsByMasterSecret, resealTotpSecrets } from '../users/factors/master_secrets.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'
import { Conflict } from './error.ts'

/** Seconds until every server has read a changed secret file, with room to spare. */
const reloadMargin = 60

export type MasterSecretDocument = Awaited<ReturnType<typeof listMasterSecrets>>[number]

/**
 * The newest first. `used_until`: for how long a node may still make something under it, as far as it said; `sessions`: those with a
 * token that may have been made under an older secret, counted with the first of these; `totp_secrets` and `recovery_codes`: how many
 * secrets of time-based codes, and users with recovery codes, are under an old one.
 */
export async function listMasterSecrets({ storage, secrets, now }: Needs<'storage' | 'secrets' | 'now'>) {
  const all = await secrets()
  const keys = await storage.listSigningKeys()
  const clients = await storage.listClients()
  const sealed = (await storage.listWebhooks()).flatMap(webhook => webhook.secrets)
  const uses = new Map((await storage.listMasterSecretUses()).map(use => [use.name, use]))
  const older = all.length > 1 ? await storage.countSessionsNotSeenSince(seenUnderNewest(all, uses, now()), now()) : 0
  const factors = all.length > 1 ? await countFactorsByMasterSecret(storage) : new Map()
  return all.map(({ name }, i) => {
    const { totpSecrets = 0, recoveryCodes = 0 } = factors.get(name) ?? {}
    const { usedSince, usedUntil = null } = uses.get(name) ?? {}
    return {
      name,
      newest: i === 0,
      used_since: usedSince === undefined || usedSince > now() ? null : usedSince,
      used_until: usedUntil,
      signing_keys: keys.filter(key => masterSecretOf(key) === name).length,
      clients: clients
        .filter(({ secretDigests }) => secretDigests.some(digest => masterSecretOfDigest(digest) === name))
        .map(({ id }) => id),
      webhook_secrets: sealed.filter(one => sealedUnder(one) === name).length,
      sessions: i === 1 ? older : null,
      totp_secrets: i === 0 ? null : totpSecrets,
      recovery_codes: i === 0 ? null : recoveryCodes,
    }
  })
}

/** @returns since when a session that is refreshed, at whichever node, is under the newest secret */
function seenUnderNewest([newest, ...old]: MasterSecrets, uses: ReadonlyMap<string, MasterSecretUse>, now: number) {
  const since = uses.get(newest.name)?.usedSince
  // Before a server uses the new one, every session is under an old one.
  if (since === undefined || since > now) return now
  return Math.max(since + reloadMargin, ...old.map(({ name }) => uses.get(name)?.usedUntil ?? 0))
}

/** Encrypts the signing keys under the newest secret. @returns how many were under another */
export async function reencryptKeys(
  { storage, secrets, now }: Needs<'storage' | 'secrets' | 'now'>,
  actor: Actor,
): Promise<number> {
  const all = await secrets()
  const [newest] = all
  const jwes = new Map<string, string>()
  for (const key of await storage.listSigningKeys()) {
    const jwe = masterSecretOf(key) === newest.name ? undefined : await reencryptSigningKey(key, all)
    if (jwe !== undefined) jwes.set(key.kid, jwe)
  }
  if (jwes.size === 0) return 0
  return storage.replacePrivateJwes(jwes, actorEvent(actor, 'secret.rotated', now(), { detail: newest.name }))
}

/**
 * Encrypts the secrets of time-based codes under the newest master secret, once servers use it: one that does not have it yet could not
 * verify a code. Before that they do it themselves, when they begin to (`upkeep.ts`).
 *
 * @returns how many were under another
 */
export async function reencryptFactors(deps: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>): Promise<number> {
  const secrets = await deps.secrets()
  const uses = await deps.storage.listMasterSecretUses()
  if (!uses.some(({ name, usedSince }) => name === secrets[0].name && usedSince <= deps.now())) return 0
  let sum = 0
  let position = ''
  do {
    const { resealed, next } = await resealTotpSecrets(deps, secrets, position)
    sum += resealed
    position = next
  } while (position !== '')
  return sum
}

/** @returns the names of the old secrets that may go @throws Conflict when there are none, or no server uses the newest */
export function oldSecrets([newest, ...old]: readonly MasterSecretDocument[]): MasterSecretDocument[] {
  if (newest === undefined || old.length === 0) throw new Conflict('no_old_secret', 'there is no old master secret')
  if (newest.used_since === null) throw new Conflict('new_secret_unused', 'no server uses the new master secret yet')
  return old
}

/** @throws Conflict when sessions, clients or recovery codes would be lost with old secrets */
export function insistThatUnused(old: readonly MasterSecretDocument[], now: number): void {
  if (old.some(({ used_until }) => used_until !== null && used_until > now))
    throw new Conflict('old_secret_used', 'the old master secret is still needed: a node makes tokens under it')
  const clients = [...new Set(old.flatMap(one => one.clients))]
  const sessions = old.reduce((sum, one) => sum + (one.sessions ?? 0), 0)
  const codes = old.reduce((sum, one) => sum + (one.recovery_codes ?? 0), 0)
  if (clients.length === 0 && sessions === 0 && codes === 0) return
  const parts = [
    sessions > 0 &&
      `${sessions} ${sessions === 1 ? 'session was' : 'sessions were'} last refreshed under it and would end`,
    clients.length > 0 && `the secret of ${clients.join(', ')} was last used under it and would no longer be known`,
    codes > 0 &&
      `the recovery codes of ${codes} ${codes === 1 ? 'user' : 'users'} were made under it and would no longer be known`,
  ]
  const message = `the old master secret is still needed: ${parts.filter(Boolean).join('; ')}`
  throw new Conflict('old_secret_used', message)
}

/** Once they are gone from where they are kept. */
export async function recordDropped(
  { storage, now }: Needs<'storage' | 'now'>,
  dropped: readonly string[],
  actor: Actor,
): Promise<void> {
  const event = actorEvent(actor, 'secret.old_dropped', now(), { detail: dropped.join(' ') })
  await storage.forgetMasterSecrets(dropped, event)
}
