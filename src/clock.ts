/**
 * The clock that a node goes by: where several share a database, the one of that. Theirs may be minutes apart, and what one writes as
 * just now another would take for long ago: a refresh that is repeated at once for one that comes late, a wait for one that is over.
 */
import type { Logger } from 'pino'
import { milliseconds } from './system.ts'

export type Clock = Readonly<{
  /** Seconds since the epoch, an integer. */
  now: () => number
  /** Looks at the database's clock again. */
  adjust: () => Promise<void>
}>

/** Milliseconds by which clocks that are set by NTP differ at most: nothing is changed for them, and an answer's way is not taken for a difference. */
const tolerance = 500
/** Milliseconds from which on the operator should know. */
const told = 30_000

/**
 * @param databaseTime milliseconds since the epoch by the clock of the database; undefined for a process that goes by its own
 * @param own          milliseconds since the epoch by the clock of this machine
 */
export async function createClock(
  databaseTime: (() => Promise<number>) | undefined,
  log: Pick<Logger, 'warn'>,
  own: () => number = milliseconds,
): Promise<Clock> {
  let ahead = 0

  async function adjust() {
    if (databaseTime === undefined) return
    const asked = own()
    const time = await databaseTime()
    const answered = own()
    // The moment of the answer is somewhere on its way.
    const uncertain = Math.abs(answered - asked) / 2 + tolerance
    const difference = time - (asked + answered) / 2
    if (Math.abs(difference - ahead) <= uncertain) return
    ahead = Math.abs(difference) <= uncertain ? 0 : Math.round(difference)
    if (Math.abs(ahead) >= told)
      log.warn(
        { seconds: Math.round(ahead / 1000) },
        'the clock of the database is another than that of this machine, and counts',
      )
  }

  await adjust()
  return { now: () => Math.floor((own() + ahead) / 1000), adjust }
}
