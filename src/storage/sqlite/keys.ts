/** Signing keys, and when master secrets are in use. */
import { isNewest } from '../../keys/signing_key.ts'
import type { KeyStorage } from '../../keys/storage.ts'
import { and, asc, eq, inArray, isNull, lt, or } from '../drizzle.ts'
import { masterSecretUseFromRow, signingKeyFromRow } from '../rows.ts'
import type { Connection } from './connection.ts'
import { read } from './group_commit.ts'
import { createPreparing } from './prepared.ts'
import { masterSecrets, signingKeys } from './schema.ts'

export function createKeyStorage({ db, write, record, change }: Connection): KeyStorage {
  const list = () =>
    db.select().from(signingKeys).orderBy(asc(signingKeys.createdAt), asc(signingKeys.kid)).all().map(signingKeyFromRow)

  // Also asked for what strangers make up.
  const uses = createPreparing(db.$client).select(db.select().from(masterSecrets))

  return {
    listSigningKeys: () => read(list),
    addSigningKey: (key, newest, event) =>
      write(() => {
        if (!isNewest(list(), newest)) return false
        db.insert(signingKeys)
          .values({ ...key, publicJwk: JSON.stringify(key.publicJwk) })
          .run()
        record(event)
        return true
      }),
    removeSigningKeys: (kids, event) =>
      change(event, () =>
        db
          .delete(signingKeys)
          .where(inArray(signingKeys.kid, [...kids]))
          .run(),
      ),
    replacePrivateJwes: (jwes, event) =>
      change(event, () => {
        const changed = [...jwes].map(
          ([kid, privateJwe]) =>
            db.update(signingKeys).set({ privateJwe }).where(eq(signingKeys.kid, kid)).run().changes,
        )
        return { changes: changed.reduce((sum, changes) => sum + changes, 0) }
      }),
    noteMasterSecret: (use, event) =>
      write(() => {
        const { name, usedUntil } = use
        const { changes } = db.insert(masterSecrets).values(use).onConflictDoNothing().run()
        if (changes > 0) record(event)
        else if (usedUntil !== undefined)
          db.update(masterSecrets)
            .set({ usedUntil })
            .where(and(eq(masterSecrets.name, name), isBefore(usedUntil)))
            .run()
      }),
    listMasterSecretUses: () => read(() => uses.all({}).map(masterSecretUseFromRow)),
    forgetMasterSecrets: (names, event) =>
      write(() => {
        db.delete(masterSecrets)
          .where(inArray(masterSecrets.name, [...names]))
          .run()
        record(event)
      }),
  }
}

const isBefore = (instant: number) => or(isNull(masterSecrets.usedUntil), lt(masterSecrets.usedUntil, instant))
