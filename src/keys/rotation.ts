/** How a new signing key comes to be: published first, and signing when every cache has seen it. */
import { type AuditEvent, auditEvent } from '../audit/audit.ts'
import type { MasterSecrets } from './master_secret.ts'
import { createSigningKey, type SigningAlg, type SigningKey } from './signing_key.ts'
import type { KeyStorage } from './storage.ts'

export type NewSigningKey = Readonly<{
  alg: SigningAlg
  /** The key made last, which it follows. */
  newest: SigningKey | undefined
  /** Seconds from now until it signs. */
  lead: number
  /** Of a key that an operator asked for; any other is nobody's. */
  createEvent?: (detail: string) => AuditEvent
}>

/** @returns the new key, or undefined when another process has just added one */
export async function addSigningKey(
  { storage, secrets, now }: Readonly<{ storage: KeyStorage; secrets: MasterSecrets; now: () => number }>,
  { alg, newest, lead, createEvent }: NewSigningKey,
): Promise<SigningKey | undefined> {
  // Never before the key it follows, or that one would sign again when it activates.
  const activatesAt = Math.max(now() + lead, newest?.activatesAt ?? 0)
  // Later than the newest, so that the order of keys is that of their making even within one second.
  const createdAt = Math.max(now(), newest === undefined ? 0 : newest.createdAt + 1)
  const key = await createSigningKey(alg, secrets, createdAt, activatesAt)
  const detail = `${alg} ${key.kid}`
  const event = createEvent?.(detail) ?? auditEvent('key.created', now(), {}, { detail })
  return (await storage.addSigningKey(key, newest?.kid, event)) ? key : undefined
}
