/** Whether an e-mail address is one user's: what the setting says, brought to the database, which holds every program to it. */
import type { Logger } from 'pino'
import { type Config, ConfigError } from './config.ts'
import type { Storage } from './storage/storage.ts'

/** @throws ConfigError when addresses that are shared stand in the way */
export async function settleUniqueEmail(
  storage: Pick<Storage, 'hasUniqueEmails' | 'setUniqueEmails'>,
  { uniqueEmail }: Pick<Config, 'uniqueEmail'>,
  log?: Pick<Logger, 'info'>,
): Promise<void> {
  if (uniqueEmail === undefined || uniqueEmail === (await storage.hasUniqueEmails())) return
  const count = await storage.setUniqueEmails(uniqueEmail)
  if (count > 0) {
    const what = count === 1 ? 'one address is' : `${count} addresses are`
    throw new ConfigError(
      `LATCHKEY_UNIQUE_EMAIL=on cannot be: ${what} more than one user's; latchkey doctor says whose, and latchkey user update changes them`,
    )
  }
  log?.info({ uniqueEmail }, 'LATCHKEY_UNIQUE_EMAIL is another one than before')
}
