/** The networks from which an account or a client came in before: in the database, and in memory until they are written there. */
import type { KnownNetwork, ThrottleStorage } from './storage.ts'

export type KnownNetworks = Readonly<{
  /** @param who of one kind with what is given to `remember` */
  has: (who: string, network: string) => Promise<boolean>
  remember: (who: string, network: string) => void
  /** Takes out at most so many that are to be written. */
  takeNew: (most: number) => KnownNetwork[]
  putBack: (networks: readonly KnownNetwork[]) => void
  hasNew: () => boolean
  prune: () => void
}>

/** Seconds between two writes of the same known network. */
const rememberAgain = 86_400

/** More than anybody signs in from; who signs in from more, such as a traveller, loses the oldest. */
export const maxKnownNetworks = 50

/** Those that are forgotten. @param networks of one user or client, those that expire last first */
export function inExcess<Network>(networks: readonly Network[]): readonly Network[] {
  return networks.slice(maxKnownNetworks)
}

/**
 * @param lifetime seconds that a network is known after it was remembered
 * @param entries  how many are kept in memory
 * @param digest   of names that the database must not show
 */
export function createKnownNetworks(
  storage: Pick<ThrottleStorage, 'isKnownNetwork'>,
  { lifetime, entries, now, digest }: Options,
): KnownNetworks {
  const since = new Map<string, number>()
  const unwritten: KnownNetwork[] = []
  const sinceWhen = (name: string) => since.get(name) ?? Number.NEGATIVE_INFINITY

  return {
    async has(who, network) {
      // Asked in every case: no time tells for whom it was not needed.
      const isStored = await storage.isKnownNetwork(digest('who', who), digest('network', network), now())
      return isStored || now() - sinceWhen(nameOf(who, network)) < lifetime
    },
    remember(who, network) {
      const name = nameOf(who, network)
      if (now() - sinceWhen(name) < rememberAgain) return
      since.set(name, now())
      if (unwritten.length >= entries) unwritten.shift()
      unwritten.push({ who: digest('who', who), network: digest('network', network), expiresAt: now() + lifetime })
    },
    takeNew: most => unwritten.splice(0, most),
    putBack: networks => void unwritten.unshift(...networks),
    hasNew: () => unwritten.length > 0,
    prune() {
      if (since.size > entries) since.clear()
    },
  }
}

type Options = Readonly<{
  lifetime: number
  entries: number
  now: () => number
  digest: (...parts: string[]) => string
}>

const nameOf = (who: string, network: string) => `${who}\0${network}`
