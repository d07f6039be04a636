/** What operators do to the keys that sign tokens. */
import { addSigningKey } from '../keys/rotation.ts'
import { keyState, publicationLead, type SigningAlg, type SigningKey } from '../keys/signing_key.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'
import { Conflict } from './error.ts'

export type KeyDocument = ReturnType<typeof describeKey>

export async function listKeys({ storage, now }: Needs<'storage' | 'now'>): Promise<KeyDocument[]> {
  const keys = await storage.listSigningKeys()
  return keys.map(key => describeKey(key, keys, now()))
}

/** Adds a key: published at once, signing when every cache has seen it. @throws Conflict */
export async function rotateKey(
  { storage, secrets, now }: Needs<'storage' | 'secrets' | 'now'>,
  alg: SigningAlg,
  actor: Actor,
): Promise<KeyDocument> {
  const before = await storage.listSigningKeys()
  const newest = before.at(-1)
  const added = await addSigningKey(
    { storage, secrets: await secrets(), now },
    {
      alg,
      newest,
      lead: newest === undefined ? 0 : publicationLead,
      createEvent: detail => actorEvent(actor, 'key.created', now(), { detail }),
    },
  )
  if (added === undefined) throw new Conflict('key_just_added', 'another process has just added a key')
  return describeKey(added, [...before, added], now())
}

function describeKey(key: SigningKey, all: readonly SigningKey[], now: number) {
  return {
    kid: key.kid,
    alg: key.alg,
    state: keyState(key, all, now),
    created_at: key.createdAt,
    signs_at: key.activatesAt,
  }
}
