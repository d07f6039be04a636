/** What the doctor finds of the filter of breached passwords, all of which is read. */
import { readBlock, withFilter } from '../breached/filter.ts'
import type { Config } from '../config.ts'
import { now } from '../system.ts'
import { type Finding, failed, ok, warning } from './findings.ts'

const check = 'breached passwords'
/** Seconds after which a list lacks what has been found since. */
const maxAge = 365 * 86_400

/** @returns nothing where there is none */
export function examineBreachedPasswords({ breachedPasswords: file }: Pick<Config, 'breachedPasswords'>): Finding[] {
  if (file === undefined) return []
  try {
    const { count, builtAt, minCount } = withFilter(file, filter => {
      for (let block = 0; block < filter.blocks; block++) readBlock(filter, block)
      return filter
    })
    const days = Math.floor((now() - builtAt) / 86_400)
    const which = minCount > 1 ? ` that appeared ${minCount} times` : ''
    const found = `${count.toLocaleString('en')}${which}, built ${days} days ago`
    if (now() - builtAt <= maxAge) return [ok(check, found)]
    return [warning(check, found, 'download the list and build it again with latchkey breached build')]
  } catch (error) {
    const advice = 'nobody can choose a password, and no server starts: build it again with latchkey breached build'
    return [failed(check, `${file} ${(error as Error).message}`, advice)]
  }
}
