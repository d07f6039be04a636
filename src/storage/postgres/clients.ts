/** Clients. */
import type { Client } from '../../clients/client.ts'
import type { ClientStorage } from '../../clients/storage.ts'
import { and, asc, eq, gt, sql } from '../drizzle.ts'
import { clientFromRow, clientRow, optional } from '../rows.ts'
import { takeLock } from './advisory_lock.ts'
import type { Connection, Db } from './connection.ts'
import { oneUnderWay } from './one_under_way.ts'
import { builder, prepareRun, prepareSelect } from './prepared.ts'
import { clients, sessions } from './schema.ts'

const value = sql.placeholder
const isIt = eq(clients.id, value('id'))
const one = () => builder.select().from(clients).where(isIt)

const find = prepareSelect(one())
const findForShare = prepareSelect(one().for('share'))
const findForUpdate = prepareSelect(one().for('update'))
const findAny = prepareSelect(builder.select({ id: clients.id }).from(clients).limit(1))
const listAll = prepareSelect(builder.select().from(clients).orderBy(asc(clients.id)))
const remove = prepareRun(builder.delete(clients).where(isIt))

/** Sessions that one statement removes: a client may have millions, and a statement has some seconds. */
const sessionsPerStatement = 5000
const lockSessions = prepareSelect(
  builder
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.clientId, value('id')), gt(sessions.id, value('after'))))
    .orderBy(asc(sessions.id))
    .limit(sessionsPerStatement)
    .for('update'),
)
const removeSessions = prepareRun(builder.delete(sessions).where(sql`${sessions.id} = any(${value('ids')})`))

/** Rows of clients, for whoever reads or writes them within a transaction: after those of users, before those of sessions. */
export const clientRows = {
  find: async (db: Db, id: string) => optional(await find.get(db, { id }), clientFromRow),
  /** The row, which nobody changes or removes until the transaction ends. */
  findForShare: async (tx: Db, id: string) => optional(await findForShare.get(tx, { id }), clientFromRow),
  /** The row, which nobody else changes, removes or begins a session for until the transaction ends. */
  findForUpdate: async (tx: Db, id: string) => optional(await findForUpdate.get(tx, { id }), clientFromRow),
  isEmpty: async (db: Db) => (await findAny.get(db, {})) === undefined,
  /** @returns how many: 0 when the id is taken */
  insert: async (tx: Db, client: Client) =>
    (await tx.insert(clients).values(clientRow(client)).onConflictDoNothing()).rowCount ?? 0,
}

export function createClientStorage({ read, write, record, change }: Connection): ClientStorage {
  return {
    findClient: oneUnderWay(id => read(db => clientRows.find(db, id))),
    listClients: () => read(async db => (await listAll.all(db, {})).map(clientFromRow)),
    createClient: async (client, event) => {
      const created = await change(event, async tx => {
        await takeLock(tx, 'newcomers')
        return clientRows.insert(tx, client)
      })
      return created > 0
    },
    changeClient: (id, decide) =>
      write(async tx => {
        const { outcome, client, event } = decide(await clientRows.findForUpdate(tx, id))
        if (client !== undefined) await tx.update(clients).set(clientRow(client)).where(eq(clients.id, id))
        if (event !== undefined) await record(tx, event)
        return outcome
      }),
    removeClient: async (id, event, insist) => {
      const removed = await change(event, async tx => {
        const client = await clientRows.findForUpdate(tx, id)
        if (client === undefined) return 0
        insist?.(client)
        await removeSessionsOf(tx, id)
        return remove.run(tx, { id })
      })
      return removed > 0
    },
  }
}

/** Of a client that is locked. In the order of ids: a cascade locks in any. */
async function removeSessionsOf(tx: Db, id: string): Promise<void> {
  for (let after: string | undefined = ''; after !== undefined; ) {
    const ids: string[] = (await lockSessions.all(tx, { id, after })).map(session => session.id)
    await removeSessions.run(tx, { ids })
    after = ids.length < sessionsPerStatement ? undefined : ids.at(-1)
  }
}
