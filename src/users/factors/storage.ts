/** What factors ask of a database. How they come and go is a decision about their user: `changeUser` of `sessions/storage.ts`. */
import type { Factor, FactorKind } from './factor.ts'

export type FactorStorage = Readonly<{
  /** In the order in which they came. */
  listFactors(userId: string): Promise<Factor[]>
  findFactorByHandle(handle: string): Promise<Factor | undefined>
  /**
   * Factors of one kind, of all users, by id.
   *
   * @param after the id of the last one of the page before, '' to begin
   */
  listFactorsOfKind(kind: FactorKind, after: string, limit: number): Promise<Factor[]>
  /** Replaces what factors are verified by, where it is still what it was. @returns how many were replaced */
  replaceFactorData(changes: readonly Readonly<{ id: string; before: string; after: string }>[]): Promise<number>
}>
