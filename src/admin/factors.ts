/** What operators do to factors of users: look which there are, and take all of them away from who has lost them. */
import { factorReset } from '../sessions/factor_change.ts'
import { describeFactor, type FactorDocument } from '../users/factors/factor_document.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'
import { getUser, type Who } from './users.ts'

/** @throws NotFound */
export async function listUserFactors({ storage }: Needs<'storage'>, who: Who): Promise<FactorDocument[]> {
  const { id } = await getUser({ storage }, who)
  return (await storage.listFactors(id)).map(describeFactor)
}

/**
 * Removes all factors and ends all sessions of a user: the next sign-in is by the password alone, or sets a factor up where one is
 * demanded. Nothing happens to who has none.
 *
 * @throws NotFound
 */
export async function resetUserFactors(
  { storage, now }: Needs<'storage' | 'now'>,
  who: Who,
  actor: Actor,
): Promise<{ removed: number }> {
  const { id } = await getUser({ storage }, who)
  const event = actorEvent(actor, 'factor.removed', now(), { userId: id })
  return { removed: await storage.changeUser(id, factorReset(event)) }
}
