/** Signing keys, and since when master secrets are in use. */
import { isNewest } from '../../keys/signing_key.ts'
import type { KeyStorage } from '../../keys/storage.ts'
import { asc, eq, inArray } from '../drizzle.ts'
import { signingKeyFromRow } from '../rows.ts'
import type { Connection } from './connection.ts'
import { read } from './group_commit.ts'
import { masterSecrets, signingKeys } from './schema.ts'

export function createKeyStorage({ db, write, record, change }: Connection): KeyStorage {
  const list = () =>
    db.select().from(signingKeys).orderBy(asc(signingKeys.createdAt), asc(signingKeys.kid)).all().map(signingKeyFromRow)

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
    noteMasterSecret: async (name, event) => {
      await change(event, () =>
        db.insert(masterSecrets).values({ name, usedSince: event.at }).onConflictDoNothing().run(),
      )
    },
    masterSecretSince: name =>
      read(
        () =>
          db.select({ at: masterSecrets.usedSince }).from(masterSecrets).where(eq(masterSecrets.name, name)).get()?.at,
      ),
  }
}
