/** A database that must not be used: all that was in it has gone elsewhere, or what is to come has not come whole. */

export type MoveState = 'arriving' | 'arrived' | 'gone'

/** One row of `moves`. */
export type Move = Readonly<{
  /** The same in both databases. */
  id: string
  state: MoveState
  /** The other database, without a password. */
  place: string
  /** Seconds since the epoch. */
  at: number
}>

/** What triggers answer to every write from the moment of a move on. */
export const movedMessage = 'all that was in this database has moved'

/** One line for the operator. */
export class DatabaseMoved extends Error {
  override name = 'DatabaseMoved'
  /** sysexits.h EX_CONFIG: the settings name the wrong database. */
  static readonly exitCode = 78
}

export function hasMoved(moves: readonly Pick<Move, 'state'>[]): boolean {
  return moves.some(({ state }) => state !== 'arrived')
}

/**
 * @param here  the database itself, without a password
 * @param moves all of its rows
 * @throws DatabaseMoved when it must not be used
 */
export function insistOnBeingHere(here: string, moves: readonly Pick<Move, 'state' | 'place' | 'at'>[]): void {
  const gone = moves.find(({ state }) => state === 'gone')
  if (gone !== undefined) {
    const when = new Date(gone.at * 1000).toISOString().replace('.000Z', 'Z')
    throw new DatabaseMoved(
      `all that was in ${here} moved to ${gone.place} at ${when}: set LATCHKEY_DATABASE_URL to that`,
    )
  }
  const arriving = moves.find(({ state }) => state === 'arriving')
  if (arriving !== undefined) {
    throw new DatabaseMoved(
      `the move from ${arriving.place} to ${here} was interrupted: set LATCHKEY_DATABASE_URL to where it came from, and run latchkey migrate-to once more`,
    )
  }
}
