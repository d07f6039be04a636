/** Signing keys, and when master secrets are in use. */
import { isNewest } from '../../keys/signing_key.ts'
import type { KeyStorage } from '../../keys/storage.ts'
import { and, asc, eq, inArray, isNull, lt, or } from '../drizzle.ts'
import { masterSecretUseFromRow, signingKeyFromRow } from '../rows.ts'
import { takeLock } from './advisory_lock.ts'
import type { Connection, Db } from './connection.ts'
import { builder, prepareSelect } from './prepared.ts'
import { masterSecrets, signingKeys } from './schema.ts'

// Every node asks every few seconds.
const listAll = prepareSelect(
  builder.select().from(signingKeys).orderBy(asc(signingKeys.createdAt), asc(signingKeys.kid)),
)
// Also asked for what strangers make up.
const listUses = prepareSelect(builder.select().from(masterSecrets))
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
    noteMasterSecret: (use, event) =>
      write(async tx => {
        const { name, usedUntil } = use
        const { rowCount } = await tx.insert(masterSecrets).values(use).onConflictDoNothing()
        if (rowCount !== 0) await record(tx, event)
        else if (usedUntil !== undefined)
          await tx
            .update(masterSecrets)
            .set({ usedUntil })
            .where(and(eq(masterSecrets.name, name), isBefore(usedUntil)))
      }),
    listMasterSecretUses: () => read(async db => (await listUses.all(db, {})).map(masterSecretUseFromRow)),
    forgetMasterSecrets: (names, event) =>
      write(async tx => {
        await tx.delete(masterSecrets).where(inArray(masterSecrets.name, [...names]))
        await record(tx, event)
      }),
  }
}

const isBefore = (instant: number) => or(isNull(masterSecrets.usedUntil), lt(masterSecrets.usedUntil, instant))
