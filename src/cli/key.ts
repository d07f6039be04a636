/** `latchkey key`: the keys that sign access tokens. */
import { Command } from 'commander'
import { listKeys, rotateKey } from '../admin/keys.ts'
import { openKeys } from '../secret_file.ts'
import { formatTime, operator, output, table, withAdmin, withConflictHints } from './run.ts'

type Json = { json?: true }

export function keyCommand(): Command {
  const key = new Command('key').description('list and rotate signing keys')

  key
    .command('list')
    .description('list the signing keys and what each is at the moment')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withAdmin(async deps => {
        const keys = await listKeys(deps)
        const rows = keys.map(one => [
          one.kid,
          one.alg,
          one.state,
          formatTime(one.created_at),
          formatTime(one.signs_at),
        ])
        output(options, keys, table(['KID', 'ALG', 'STATE', 'CREATED', 'SIGNS FROM'], rows))
      }),
    )
  key
    .command('rotate')
    .description('add a signing key: published at once, signing when every cache has seen it')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withAdmin(async (deps, config) => {
        // Under a wrong master secret the new key would be one that the server cannot open.
        const secrets = await deps.secrets()
        await openKeys(await deps.storage.listSigningKeys(), secrets)
        const added = await withConflictHints({ key_just_added: '; look at key list' }, () =>
          rotateKey(deps, config.signingAlg, operator()),
        )
        output(options, added, `added ${added.kid}; it signs from ${formatTime(added.signs_at)}`)
      }),
    )
  return key
}
