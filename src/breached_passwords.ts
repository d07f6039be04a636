/** The filter of breached passwords that the settings name. */
import type { Logger } from 'pino'
import {
  FilterError,
  type FilterHeader,
  filterHas,
  hashOf,
  numberOf,
  readHeader,
  withFilter,
} from './breached/filter.ts'
import { type Config, ConfigError } from './config.ts'
import { OAuthError } from './error.ts'

/** Seconds until somebody may have looked after it. */
const retryAfter = 60

/**
 * @returns whether a text is in the filter, which is opened anew for each: one that is put in the place of another counts at once
 * @throws ConfigError when there is a setting and no filter of that name; later on, OAuthError `temporarily_unavailable`
 */
export function openBreachedPasswords(
  { breachedPasswords: path }: Pick<Config, 'breachedPasswords'>,
  log?: Pick<Logger, 'info'>,
): (text: string) => boolean {
  if (path === undefined) return () => false
  const { count, builtAt } = insistOnHeader(path)
  log?.info({ file: path, count, builtAt: new Date(builtAt * 1000) }, 'breached passwords are refused')
  return text => {
    try {
      return withFilter(path, filter => filterHas(filter, numberOf(hashOf(text), filter.scale)))
    } catch (error) {
      const description = 'the list of breached passwords cannot be read at the moment'
      throw new OAuthError('temporarily_unavailable', description, { cause: error, retryAfter })
    }
  }
}

function insistOnHeader(path: string): FilterHeader {
  try {
    return readHeader(path)
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
    throw new ConfigError(`LATCHKEY_BREACHED_PASSWORDS: ${path} ${error.message}`, { cause: error })
  }
}
