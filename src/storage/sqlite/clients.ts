/** Clients. */
import type { Client } from '../../clients/client.ts'
import type { ClientStorage } from '../../clients/storage.ts'
import { asc, eq, sql } from '../drizzle.ts'
import { oncePerTurn } from '../once_per_turn.ts'
import { clientFromRow, clientRow, optional } from '../rows.ts'
import type { Connection, Orm } from './connection.ts'
import { read } from './group_commit.ts'
import { createPreparing } from './prepared.ts'
import { clients } from './schema.ts'

/** Rows of clients, for whoever reads or writes them within a transaction. */
export function createClientRows(db: Orm) {
  const { select } = createPreparing(db.$client)
  const find = select(
    db
      .select()
      .from(clients)
      .where(eq(clients.id, sql.placeholder('id'))),
  )
  return {
    find: (id: string) => optional(find.get({ id }), clientFromRow),
    isEmpty: () => db.select({ id: clients.id }).from(clients).limit(1).get() === undefined,
    insert: (client: Client) => db.insert(clients).values(clientRow(client)).run(),
  }
}

export type ClientRows = ReturnType<typeof createClientRows>

export function createClientStorage({ db, write, record, change }: Connection, rows: ClientRows): ClientStorage {
  return {
    findClient: oncePerTurn(id => read(() => rows.find(id))),
    listClients: () => read(() => db.select().from(clients).orderBy(asc(clients.id)).all().map(clientFromRow)),
    createClient: async (client, event) =>
      (await change(event, () => db.insert(clients).values(clientRow(client)).onConflictDoNothing().run())) > 0,
    changeClient: (id, decide) =>
      write(() => {
        const { outcome, client, event } = decide(rows.find(id))
        if (client !== undefined) db.update(clients).set(clientRow(client)).where(eq(clients.id, id)).run()
        if (event !== undefined) record(event)
        return outcome
      }),
    removeClient: async (id, event, insist) => {
      const removed = await change(event, () => {
        const client = rows.find(id)
        if (client !== undefined) insist?.(client)
        return db.delete(clients).where(eq(clients.id, id)).run()
      })
      return removed > 0
    },
  }
}
