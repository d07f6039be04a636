/** What clients ask of a database. */
import type { AuditEvent } from '../audit/audit.ts'
import type { Client, ClientChange } from './client.ts'

export type ClientStorage = Readonly<{
  findClient(id: string): Promise<Client | undefined>
  /** By id. */
  listClients(): Promise<Client[]>
  /** False when the id is taken. */
  createClient(client: Client, event: AuditEvent): Promise<boolean>
  /**
   * Writes what `decide` makes of a client, and answers its outcome.
   *
   * @param decide pure and synchronous; may be called more than once
   */
  changeClient<Outcome>(id: string, decide: (client: Client | undefined) => ClientChange<Outcome>): Promise<Outcome>
  /**
   * Removes a client with all sessions. False when there is none.
   *
   * @param insist throws, and so undoes everything, where it is not the client that was meant
   */
  removeClient(id: string, event: AuditEvent, insist?: (client: Client) => void): Promise<boolean>
}>
