/** The client of the sign-in pages: their sessions are of it. It has no grant, so nothing can be had in its name at `/token`. */
import { auditEvent } from '../audit/audit.ts'
import { type Client, createClient } from './client.ts'
import type { ClientStorage } from './storage.ts'

export const browserClientId = 'browser'

/** @returns it, made where it is missing: at the first sign-in, or after an operator removed it */
export async function ensureBrowserClient({
  storage,
  now,
}: Readonly<{ storage: ClientStorage; now: () => number }>): Promise<Client> {
  const known = await storage.findClient(browserClientId)
  if (known !== undefined) return known
  const client = createClient({ id: browserClientId, grantTypes: [], scope: '', createdAt: now() })
  const event = auditEvent(
    'client.created',
    now(),
    {},
    { clientId: browserClientId, detail: 'first sign-in by cookie' },
  )
  await storage.createClient(client, event)
  return client
}
