/** What clients ask of a database. */
import type { AuditEvent } from '../audit/audit.ts'
import type { Client } from './client.ts'

export type ClientStorage = Readonly<{
  findClient(id: string): Promise<Client | undefined>
  /** By id. */
  listClients(): Promise<Client[]>
  /** False when the id is taken. */
  createClient(client: Client, event: AuditEvent): Promise<boolean>
  /**
   * Replaces a client's record by what `change` makes of it.
   *
   * @param change pure and synchronous; undefined when there is nothing to change
   * @returns the record as it is now, or undefined when nothing changed or there is no such client
   */
  changeClient(
    id: string,
    change: (client: Client) => Client | undefined,
    event: AuditEvent,
  ): Promise<Client | undefined>
  /** Removes a client with all sessions. False when there is none. */
  removeClient(id: string, event: AuditEvent): Promise<boolean>
}>
