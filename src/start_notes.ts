/** What a start tells of the settings, and leaves for the next start to compare with. */
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { looseFiles, privateFiles } from './secret_file.ts'
import { isLoopbackHost } from './setting_values.ts'
import type { Storage } from './storage/storage.ts'

export function warnOfLooseFiles(config: Config, log: Logger): void {
  for (const loose of looseFiles(privateFiles(config))) log.warn(loose, 'others can read this file: chmod 600')
}

/** @param last the issuer of the last start, '' or undefined when that is not known */
export async function noteIssuer(
  storage: Pick<Storage, 'noteIssuer'>,
  config: Pick<Config, 'host' | 'port' | 'issuer'>,
  issuer: string,
  last: string | undefined,
  log: Logger,
): Promise<void> {
  if (issuer.startsWith('http:') && !isLoopbackHost(config.host))
    log.warn(
      { host: config.host, issuer },
      'other machines reach this server, and passwords go to it in the clear: put a proxy with TLS before it, and set LATCHKEY_ISSUER to its https URL',
    )
  // One with the port that was free is another one each time, and nobody keeps it.
  if (config.issuer === undefined && config.port === 0) return last === undefined ? storage.noteIssuer('') : undefined
  if (last && last !== issuer)
    log.warn(
      { before: last, issuer },
      'the issuer is another one than at the last start: access tokens and cookies from before are refused, and resource servers must be told (LATCHKEY_ISSUER)',
    )
  if (last !== issuer) await storage.noteIssuer(issuer)
}
