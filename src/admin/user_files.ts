/** Many users at once, from files and into files (users/user_file.ts). */
import { createCostEstimator } from '../users/password_cost.ts'
import { openPasswordHash } from '../users/password_formats.ts'
import type { TakingOptions } from '../users/storage.ts'
import type { TakenMember, TakenUser, User } from '../users/user.ts'
import { formatUser, type Problem, parseUserFile, type ReadingOptions, type UserFile } from '../users/user_file.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'

/** Users read at once. */
const pageSize = 1000

export type ImportReport = Readonly<{
  without_password: number
  disabled: number
  weak_hashes: number
  left_out: number
  ignored: readonly string[]
}>

export type ImportOutcome = Readonly<{
  /** How many users were imported, or could be. */
  count: number
  /** Why users cannot be imported; if there are any, none was. */
  problems: readonly Problem[]
  report: ImportReport
}>

/**
 * Imports all users of a file or none.
 *
 * @param text   the whole file
 * @param options.dryRun changes nothing
 */
export async function importUsers(
  { storage, now, randomBytes }: Needs<'storage' | 'now' | 'randomBytes'>,
  text: string,
  { dryRun, takesReserved, ...reading }: ReadingOptions & TakingOptions & Readonly<{ dryRun: boolean }>,
  actor: Actor,
): Promise<ImportOutcome> {
  const file = parseUserFile(text, now(), randomBytes, reading)
  const users = file.users.map(({ user }) => user)
  const tooDear = await findDearHashes(file.users)
  const isImport = !dryRun && file.problems.length === 0 && tooDear.length === 0
  const event = actorEvent(actor, 'user.created', now(), { detail: 'import' })
  const taking = { takesReserved }
  const taken = isImport
    ? await storage.importUsers(users, event, now, taking)
    : await storage.findTakenUsers(users, taking)
  const problems = [...file.problems, ...tooDear, ...takenProblems(file.users, taken)]
  return {
    count: users.length - new Set([...taken, ...tooDear].map(({ user }) => user)).size,
    problems: problems.map(({ place, member, problem }) => ({
      place,
      ...(member !== undefined && { member }),
      problem,
    })),
    report: {
      without_password: users.filter(({ passwordHash }) => passwordHash === undefined).length,
      disabled: users.filter(({ disabledAt }) => disabledAt !== undefined).length,
      weak_hashes: file.weakHashes,
      left_out: file.leftOut,
      ignored: file.ignored,
    },
  }
}

/** Every user as a line that {@link importUsers} reads, with the password hash. */
export async function* exportUsers({ storage, now }: Needs<'storage' | 'now'>, actor: Actor): AsyncGenerator<string> {
  await storage.addAuditEvents([actorEvent(actor, 'user.exported', now())])
  let after: string | undefined
  do {
    const users = await storage.listUsers({ after, limit: pageSize })
    for (const user of users) yield formatUser(user)
    after = users.at(-1)?.username
  } while (after !== undefined)
}

/** Those whose hash would cost too much at every sign-in on this machine: of each kind one is estimated. */
async function findDearHashes(users: UserFile['users']): Promise<(Problem & { user: User })[]> {
  const estimator = createCostEstimator()
  const known = new Map<string, string | undefined>()
  const problems: (Problem & { user: User })[] = []
  for (const { place, user } of users) {
    const hash = user.passwordHash === undefined ? undefined : openPasswordHash(user.passwordHash)
    if (hash === undefined) continue
    if (!known.has(hash.kind)) known.set(hash.kind, await estimator.problem(hash))
    const problem = known.get(hash.kind)
    if (problem !== undefined) problems.push({ place, user, member: 'hashed_password', problem })
  }
  return problems
}

/** In the order of the file. */
function takenProblems(users: UserFile['users'], taken: readonly TakenUser[]): Problem[] {
  const members = new Map(taken.map(({ user, member }) => [user, member]))
  return users.flatMap(({ place, user }) => {
    const member = members.get(user)
    return member === undefined ? [] : [{ place, ...takenProblem(member) }]
  })
}

function takenProblem(member: TakenMember): Pick<Problem, 'member' | 'problem'> {
  return member === 'reserved_username'
    ? { member: 'username', problem: 'is kept for who had it in the last 90 days' }
    : { member, problem: 'is taken, by a user who exists or one before in the file' }
}
