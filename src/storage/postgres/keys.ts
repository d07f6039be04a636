/** Signing keys, and since when master secrets are in use. */
import { isNewest } from '../../keys/signing_key.ts'
import type { KeyStorage } from '../../keys/storage.ts'
import { asc, eq, inArray } from '../drizzle.ts'
import { signingKeyFromRow } from '../rows.ts'
import { takeLock } from './advisory_lock.ts'
import type { Connection, Db } from './connection.ts'
import { builder, prepareSelect } from './prepared.ts'
import { masterSecrets, signingKeys } from './schema.ts'

// Every node asks every few seconds.
const listAll = prepareSelect(
  builder.select().from(signingKeys).orderBy(asc(signingKeys.createdAt), asc(signingKeys.kid)),
)
const list = async (db: Db) => (await listAll.all(db, {})).map(signingKeyFromRow)

export function createKeyStorage({ read, write, record, change }: Connection): KeyStorage {
  return {
    listSigningKeys: () => read(list),
    addSigningKey: (key, newest, event) =>
      write(async tx => {
        // Which one is the newest is in no row that could be locked.
        await takeLock(tx, 'signingKeys')
        if (!isNewest(await list(tx), newest)) return false
        await tx.insert(signingKeys).values({ ...key, publicJwk: JSON.stringify(key.publicJwk) })
        await record(tx, event)
        return true
      }),
    removeSigningKeys: (kids, event) =>
      change(event, async tx => {
        await takeLock(tx, 'signingKeys')
        return (await tx.delete(signingKeys).where(inArray(signingKeys.kid, [...kids]))).rowCount ?? 0
      }),
    replacePrivateJwes: (jwes, event) =>
      change(event, async tx => {
        await takeLock(tx, 'signingKeys')
        let replaced = 0
        for (const [kid, privateJwe] of jwes) {
          const { rowCount } = await tx.update(signingKeys).set({ privateJwe }).where(eq(signingKeys.kid, kid))
          replaced += rowCount ?? 0
        }
        return replaced
      }),
    noteMasterSecret: async (name, event) => {
      await change(event, async tx => {
        const { rowCount } = await tx.insert(masterSecrets).values({ name, usedSince: event.at }).onConflictDoNothing()
        return rowCount ?? 0
      })
    },
    masterSecretSince: name =>
      read(async db => {
        const rows = await db
          .select({ at: masterSecrets.usedSince })
          .from(masterSecrets)
          .where(eq(masterSecrets.name, name))
        return rows[0]?.at
      }),
  }
}
