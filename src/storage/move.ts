/**
 * Moves all that a database holds into another one of the other kind. What is in one of the two at any moment, after a crash at any moment as
 * well, is decided by `moves`, in this order:
 *
 * 1. The source is held: nobody writes there. All rows go to the target, in a transaction that ends with the state `arriving`, compared.
 *    As long as it is in that state no program uses the target; a move that begins anew empties it.
 * 2. The source gets the state `gone` and triggers that refuse every write, in the transaction that held it. From then on no program uses it.
 * 3. The target gets the state `arrived`, and is used. Only this is missing after a crash here: the same command does it.
 *
 * So at no moment are both in use, and at every moment one of them has everything.
 */
import { createHash, type Hash } from 'node:crypto'
import type { AuditEvent } from '../audit/audit.ts'
import { auditShape, type Cell, eventCells, type TableShape, tableShapes } from './move_tables.ts'
import { DatabaseMoved, insistOnBeingHere, type Move } from './moved.ts'
import { OutcomeUnknown } from './outcome.ts'

/** One of the two databases, in a transaction beside which nobody writes. */
export type MovingDatabase = Readonly<{
  listMoves(): Promise<Move[]>
  putMove(move: Move): Promise<void>
  removeMove(id: string): Promise<void>
  /** @returns rows in the order of their key, after one of them, `maxRows` at most */
  readRows(table: TableShape, after: readonly Cell[] | undefined): Promise<Cell[][]>
  countRows(table: TableShape): Promise<number>
  insertRows(table: TableShape, rows: readonly (readonly Cell[])[]): Promise<void>
  removeRows(table: TableShape): Promise<void>
  /** The largest id that an audit event has ever had. */
  lastEventId(): Promise<number>
  /** Later events get larger ones. */
  raiseLastEventId(id: number): Promise<void>
  /** From the end of this transaction on every write fails, also of those who have the database open. */
  refuseWrites(): Promise<void>
  allowWrites(): Promise<void>
}>

/** A database that takes part in a move. */
export type MoveEnd = Readonly<{
  /** As operators call it: a path or a URL, without a password. */
  place: string
  /** Whether texts may have the character U+0000. */
  holdsNul: boolean
  /** Runs in one transaction beside which nobody writes. It is on disk when the promise resolves, and nothing is changed when it rejects. */
  alone<T>(run: (database: MovingDatabase) => Promise<T>): Promise<T>
  close(): Promise<void>
}>

export type MovedTable = Readonly<{
  table: string
  rows: number
  /** SHA-256 of the rows, hexadecimal. */
  digest: string
}>

export type MoveReport = Readonly<{
  move: Move
  tables: readonly MovedTable[]
  /** Texts in which a character was replaced by U+FFFD. */
  replaced: number
  /** Rows of what nobody has seen: users of an import that is not whole. */
  leftOut: number
}>

/** Rows that are in memory at once. */
export const maxRows = 500

/**
 * @param id    of the move, used for no other
 * @param event what the audit trail of the target says of it; its time is that of the move
 * @throws Error in one line for the operator; then nothing is in use that was not before, and the same call may be made again
 */
export async function move(source: MoveEnd, target: MoveEnd, id: string, event: AuditEvent): Promise<MoveReport> {
  const { at } = event
  const leave = source.alone(async from => {
    const gone = (await from.listMoves()).find(({ state }) => state === 'gone')
    // It was interrupted after the source had got its state.
    if (gone !== undefined) return { move: gone, tables: [], replaced: 0, leftOut: 0 }
    // It counts when this transaction is committed, and that comes last; who may not do it learns so before anything is copied.
    const leaving = { id, state: 'gone', place: target.place, at } as const
    await from.putMove(leaving)
    await from.refuseWrites()
    const copied = await target.alone(async to => {
      await clear(source, target, to)
      const copied = await copy(from, to, target.holdsNul)
      await to.raiseLastEventId(await from.lastEventId())
      await to.putMove({ id, state: 'arriving', place: source.place, at })
      await to.refuseWrites()
      return copied
    })
    return { move: leaving, ...copied }
  })
  const report = await leave.catch(error => {
    if (!(error instanceof OutcomeUnknown)) throw error
    throw new Error(`a connection was lost at its commit; run the same command once more: ${error.message}`, {
      cause: error,
    })
  })
  try {
    await arrive(source, target, report.move, event)
  } catch (error) {
    if (error instanceof DatabaseMoved) throw error
    const why = (error as Error).message
    throw new Error(
      `the move from ${source.place} was interrupted at its end; run the same command once more: ${why}`,
      {
        cause: error,
      },
    )
  }
  return report
}

/** The target is used from here on. */
async function arrive(source: MoveEnd, target: MoveEnd, gone: Move, event: AuditEvent): Promise<void> {
  await target.alone(async to => {
    const known = (await to.listMoves()).find(({ id }) => id === gone.id)
    // It went to another one.
    if (known === undefined) return insistOnBeingHere(source.place, [gone])
    if (known.state === 'arrived') return
    await to.allowWrites()
    await to.putMove({ ...known, state: 'arrived' })
    await addEvent(to, event)
  })
}

async function addEvent(to: MovingDatabase, event: AuditEvent): Promise<void> {
  const id = (await to.lastEventId()) + 1
  await to.insertRows(auditShape, [eventCells(id, event)])
  await to.raiseLastEventId(id)
}

/** @throws Error when there is something in the target that is not of an interrupted move of the same source */
async function clear(source: MoveEnd, target: MoveEnd, to: MovingDatabase): Promise<void> {
  const moves = await to.listMoves()
  const gone = moves.find(({ state }) => state === 'gone')
  if (gone !== undefined)
    throw new Error(`all that was in ${target.place} has moved to ${gone.place}: take an empty database`)
  const arriving = moves.find(({ state }) => state === 'arriving')
  if (arriving !== undefined) {
    if (arriving.place !== source.place)
      throw new Error(`the move from ${arriving.place} to ${target.place} was interrupted: take an empty database`)
    await to.removeMove(arriving.id)
    await to.allowWrites()
    for (const shape of tableShapes.toReversed()) await to.removeRows(shape)
    return
  }
  for (const shape of tableShapes) {
    if ((await to.readRows(shape, undefined)).length === 0) continue
    throw new Error(`${target.place} is not empty: it has ${shape.name}; nothing was moved`)
  }
}

async function copy(from: MovingDatabase, to: MovingDatabase, holdsNul: boolean) {
  const tables: MovedTable[] = []
  let replaced = 0
  let leftOut = 0
  for (const shape of tableShapes) {
    const read = createDigest()
    for await (const rows of batches(from, shape)) {
      if (!holdsNul) for (const row of rows) replaced += replaceNul(shape, row)
      read.add(rows)
      await to.insertRows(shape, rows)
    }
    const written = createDigest()
    for await (const rows of batches(to, shape)) written.add(rows)
    const [before, after] = [read.end(), written.end()]
    if (before.rows !== after.rows || before.digest !== after.digest) {
      throw new Error(`the copy of ${shape.name} differs from what was copied; nothing was moved`)
    }
    tables.push({ table: shape.name, ...after })
    leftOut += (await from.countRows(shape)) - after.rows
  }
  return { tables, replaced, leftOut }
}

async function* batches(database: MovingDatabase, shape: TableShape): AsyncGenerator<Cell[][]> {
  const positions = shape.key.map(name => shape.columns.indexOf(name))
  for (let rows = await database.readRows(shape, undefined); rows.length > 0; ) {
    const last = rows.at(-1)!
    yield rows
    rows =
      rows.length < maxRows
        ? []
        : await database.readRows(
            shape,
            positions.map(at => last[at]!),
          )
  }
}

/** Rows as JSON, each ended by a newline, in the order of their key. */
function createDigest() {
  const hash: Hash = createHash('sha256')
  let count = 0
  return {
    add(rows: readonly (readonly Cell[])[]) {
      count += rows.length
      for (const row of rows) hash.update(`${JSON.stringify(row)}\n`)
    },
    end: () => ({ rows: count, digest: hash.digest('hex') }),
  }
}

/**
 * Rows of before this character was refused may have it. What nothing is compared with stays readable; anything else would be
 * another name, another client.
 *
 * @returns how many texts were changed
 * @throws Error that names the row
 */
function replaceNul({ name, columns, key, labels }: TableShape, row: Cell[]): number {
  let replaced = 0
  for (const [i, cell] of row.entries()) {
    if (typeof cell !== 'string' || !cell.includes('\0')) continue
    const column = columns[i]!
    if (!labels.has(column)) {
      const which = key.map(part => JSON.stringify(row[columns.indexOf(part)])).join(' ')
      throw new Error(
        `${column} of ${which} in ${name} has the character U+0000, which PostgreSQL cannot hold; nothing was moved`,
      )
    }
    row[i] = cell.replaceAll('\0', '\ufffd')
    replaced++
  }
  return replaced
}
