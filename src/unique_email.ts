/** Whether an e-mail address is one user's: what the setting says, brought to the database, which holds every program to it. */
import type { Logger } from 'pino'
import { type Config, ConfigError } from './config.ts'
import { uniqueEmailNeeded } from './setting_values.ts'
import type { Storage } from './storage/storage.ts'
import { needsUniqueEmail } from './users/user.ts'

/** @throws ConfigError when addresses that are shared stand in the way, or may be where users sign in by them */
export async function settleUniqueEmail(
  storage: Pick<Storage, 'hasUniqueEmails' | 'setUniqueEmails'>,
  { uniqueEmail, oauth: { signInBy } }: Pick<Config, 'uniqueEmail' | 'oauth'>,
  log?: Pick<Logger, 'info'>,
): Promise<void> {
  const isUnique = await storage.hasUniqueEmails()
  if (uniqueEmail === undefined) {
    if (!isUnique && needsUniqueEmail(signInBy)) throw new ConfigError(uniqueEmailNeeded(signInBy))
    return
  }
  if (uniqueEmail === isUnique) return
  const count = await storage.setUniqueEmails(uniqueEmail)
  if (count > 0) {
    const what = count === 1 ? 'one address is' : `${count} addresses are`
    throw new ConfigError(
      `LATCHKEY_UNIQUE_EMAIL=on cannot be: ${what} more than one user's; latchkey doctor says whose, and latchkey user update changes them`,
    )
  }
  log?.info({ uniqueEmail }, 'LATCHKEY_UNIQUE_EMAIL is another one than before')
}
