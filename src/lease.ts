/** What one node at a time does: a lease in the database, kept for longer as long as there is something to do. */

export type LeaseStorage = Readonly<{
  /**
   * Takes a lease, or keeps it for longer: of several holders one has it, until it has run out or was ended. Instants are seconds since the
   * epoch.
   *
   * @returns whether it is the holder's now
   */
  takeLease(name: string, holder: string, now: number, until: number): Promise<boolean>
  endLease(name: string, holder: string): Promise<void>
}>

type LeaseDeps = Readonly<{ storage: LeaseStorage; now: () => number; randomBytes: (size: number) => Buffer }>

/** Seconds that a lease lasts, and those left of it when it is taken for longer: more than one piece of the work takes. */
const lifetime = 30
const minLeft = 20

export function createLease(name: string, { storage, now, randomBytes }: LeaseDeps) {
  const holder = randomBytes(16).toString('base64url')
  let until = 0
  const hasLeft = (seconds: number) => {
    const left = until - now()
    // More than there can be: the clock was set back.
    return left > seconds && left <= lifetime
  }
  return {
    isOurs: () => hasLeft(0),
    /** @returns whether it is this node that does the work */
    async hold(): Promise<boolean> {
      if (hasLeft(minLeft)) return true
      const next = now() + lifetime
      const isHeld = await storage.takeLease(name, holder, now(), next)
      until = isHeld ? next : 0
      return isHeld
    },
    /** Lets another node go on at once. */
    async end(): Promise<void> {
      if (until > 0) await storage.endLease(name, holder)
      until = 0
    },
  }
}
