/**
 * Locks of what no row stands for, such as that there is none yet. Each is of a transaction and never of a connection, which a pooler
 * hands on. Whoever takes one takes it before all rows, and takes no second one.
 */
import type { Db } from './connection.ts'

/** Apart from the locks of other programs on the same database. */
const space = 0x6c6b
/** These stay as they are: nodes of two versions run side by side. */
const numbers = {
  migrations: 0,
  /** New users and clients: a name must be free in every form, and the first ones come alone. */
  newcomers: 1,
  signingKeys: 2,
  /** The end of the audit trail. */
  oldestEvents: 3,
  /** Of one user or client only so many are kept. */
  knownNetworks: 4,
} as const

export type AdvisoryLock = keyof typeof numbers

/** Waits for the lock, and keeps it until the transaction ends. */
export async function takeLock({ $client }: Pick<Db, '$client'>, lock: AdvisoryLock): Promise<void> {
  await $client.query({ text: 'select pg_advisory_xact_lock($1, $2)', values: [space, numbers[lock]] })
}

/** Takes the lock if nobody has it. */
export async function tryLock({ $client }: Pick<Db, '$client'>, lock: AdvisoryLock): Promise<boolean> {
  const text = 'select pg_try_advisory_xact_lock($1, $2)'
  const { rows } = await $client.query<[boolean]>({ text, values: [space, numbers[lock]], rowMode: 'array' })
  return rows[0]![0]
}
