/** What the last start of a server leaves for the next one. */
import type { Storage } from '../storage.ts'
import type { Connection } from './connection.ts'
import { read } from './group_commit.ts'
import { lastStart } from './schema.ts'

export function createStartStorage({
  db,
  write,
}: Pick<Connection, 'db' | 'write'>): Pick<Storage, 'findLastIssuer' | 'noteIssuer'> {
  return {
    findLastIssuer: () => read(() => db.select().from(lastStart).get()?.issuer),
    noteIssuer: issuer =>
      write(() => {
        db.insert(lastStart)
          .values({ id: 1, issuer })
          .onConflictDoUpdate({ target: lastStart.id, set: { issuer } })
          .run()
      }),
  }
}
