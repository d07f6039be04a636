/** `latchkey user factors`: which second factors a user has, and taking them away from who has lost them. */
import type { Command } from 'commander'
import { listUserFactors, resetUserFactors } from '../admin/factors.ts'
import type { FactorDocument } from '../users/factors/factor_document.ts'
import { formatTime, operator, output, table, withAdmin } from './run.ts'

export function addFactorsCommand(user: Command): void {
  user
    .command('factors <username>')
    .description('list the second factors of a user, or remove all of them')
    .option('--reset', 'for who has lost them: remove all, end all sessions; the next sign-in is by the password alone')
    .option('--json', 'print one JSON document')
    .action((username: string, options: { reset?: true; json?: true }) =>
      withAdmin(async deps => {
        if (!options.reset) {
          const factors = await listUserFactors(deps, username)
          output(options, factors, factors.length === 0 ? `${username} has no second factor` : factorTable(factors))
          return
        }
        const { removed } = await resetUserFactors(deps, username, operator())
        const text =
          removed === 0
            ? `${username} has no second factor, and stays signed in`
            : `removed all factors of ${username}; all sessions of this user have ended`
        output(options, { removed }, text)
      }),
    )
}

function factorTable(factors: readonly FactorDocument[]): string {
  return table(
    ['FACTOR', 'KIND', 'NAME', 'CREATED', 'LAST USED', 'CODES LEFT'],
    factors.map(({ id, kind, name, created_at: createdAt, used_at: usedAt, ...more }) => [
      id,
      kind,
      name ?? undefined,
      formatTime(createdAt),
      formatTime(usedAt ?? undefined),
      more.codes_left,
    ]),
  )
}

/** In a few words, for `user show`. */
export function factorWords(factors: readonly FactorDocument[]): string {
  return factors.map(({ kind, name }) => (name === null ? kind : `${kind} (${name})`)).join(', ')
}
