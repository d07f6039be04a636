/** What the last start of a server leaves for the next one. */
import type { Storage } from '../storage.ts'
import type { Connection } from './connection.ts'
import { lastStart } from './schema.ts'

export function createStartStorage({
  read,
  write,
}: Pick<Connection, 'read' | 'write'>): Pick<Storage, 'findLastIssuer' | 'noteIssuer'> {
  return {
    findLastIssuer: () => read(async db => (await db.select().from(lastStart))[0]?.issuer),
    noteIssuer: issuer =>
      write(async tx => {
        await tx
          .insert(lastStart)
          .values({ id: 1, issuer })
          .onConflictDoUpdate({ target: lastStart.id, set: { issuer } })
      }),
  }
}
