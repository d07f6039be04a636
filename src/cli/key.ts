/** `latchkey key`: the keys that sign access tokens. */
import { Command } from 'commander'
import { addSigningKey } from '../keys/rotation.ts'
import { keyState, publicationLead, type SigningKey } from '../keys/signing_key.ts'
import { openKeys, readMasterSecrets } from '../secret_file.ts'
import { now } from '../system.ts'
import { formatTime, operatorEvent, output, table, withStorage } from './run.ts'

type Json = { json?: true }

export function keyCommand(): Command {
  const key = new Command('key').description('list and rotate signing keys')

  key
    .command('list')
    .description('list the signing keys and what each is at the moment')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withStorage(async storage => {
        const keys = await storage.listSigningKeys()
        const described = keys.map(one => describeKey(one, keys))
        const rows = described.map(one => [
          one.kid,
          one.alg,
          one.state,
          formatTime(one.created_at),
          formatTime(one.signs_at),
        ])
        output(options, described, table(['KID', 'ALG', 'STATE', 'CREATED', 'SIGNS FROM'], rows))
      }),
    )
  key
    .command('rotate')
    .description('add a signing key: published at once, signing when every cache has seen it')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withStorage(async (storage, config) => {
        const secrets = await readMasterSecrets(config.secret, storage)
        const before = await storage.listSigningKeys()
        // Under a wrong master secret the new key would be one that the server cannot open.
        await openKeys(before, secrets)
        const newest = before.at(-1)
        const added = await addSigningKey(
          { storage, secrets, now },
          {
            alg: config.signingAlg,
            newest,
            lead: newest === undefined ? 0 : publicationLead,
            createEvent: detail => operatorEvent('key.created', { detail }),
          },
        )
        if (added === undefined) throw new Error('another process has just added a key; look at key list')
        const document = describeKey(added, [...before, added])
        output(options, document, `added ${added.kid}; it signs from ${formatTime(added.activatesAt)}`)
      }),
    )
  return key
}

function describeKey(key: SigningKey, all: readonly SigningKey[]) {
  return {
    kid: key.kid,
    alg: key.alg,
    state: keyState(key, all, now()),
    created_at: key.createdAt,
    signs_at: key.activatesAt,
  }
}
