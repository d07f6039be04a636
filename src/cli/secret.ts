/** `latchkey secret`: replacing the master secret without signing anybody out. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { AdminDeps } from '../admin/deps.ts'
import {
  insistThatUnused,
  listMasterSecrets,
  oldSecrets,
  recordDropped,
  reencryptFactors,
  reencryptKeys,
} from '../admin/master_secrets.ts'
import { resealWebhookSecrets } from '../admin/webhooks.ts'
import type { MasterSecretSource } from '../config.ts'
import { createMasterSecret } from '../keys/master_secret.ts'
import { openKeys, writeSecretFile } from '../secret_file.ts'
import { formatTime, operator, output, table, withAdmin, withConflictHints } from './run.ts'

type Json = { json?: true }

export function secretCommand(): Command {
  const secret = new Command('secret').description('replace the master secret without signing anybody out')

  secret
    .command('status')
    .description('list the master secrets by name, and what depends on each')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withAdmin(async deps => {
        const secrets = await listMasterSecrets(deps)
        const rows = secrets.map(one => [
          one.name,
          one.newest ? 'newest' : 'old',
          formatTime(one.used_since ?? undefined),
          formatTime(one.used_until ?? undefined),
          one.signing_keys,
          one.clients.join(' ') || undefined,
          one.webhook_secrets,
          one.sessions ?? undefined,
          one.totp_secrets ?? undefined,
          one.recovery_codes ?? undefined,
        ])
        const headings = [
          'SECRET',
          'AGE',
          'IN USE SINCE',
          'AND UNTIL',
          'SIGNING KEYS',
          'SECRETS OF CLIENTS',
          'OF WEBHOOKS',
          'SESSIONS',
        ]
        output(options, secrets, table([...headings, 'CODE SECRETS', 'RECOVERY CODES'], rows))
      }),
    )
  secret
    .command('rotate')
    .description(
      'put a new master secret before the old one and encrypt signing keys and the secrets of codes and webhooks under it',
    )
    .option('--json', 'print one JSON document')
    .action((options: Json) => withAdmin((deps, { secret: source }) => rotate(deps, source, options)))
  secret
    .command('drop-old')
    .description('end the old master secrets, once nothing depends on them any more')
    .option(
      '--force',
      'also when sessions, clients or recovery codes depend on them: those have to sign in, or be given new ones',
    )
    .option('--json', 'print one JSON document')
    .action((options: Json & { force?: true }) =>
      withAdmin((deps, { secret: source }) => dropOld(deps, source, options)),
    )
  return secret
}

async function rotate(deps: AdminDeps, source: MasterSecretSource, options: Json): Promise<void> {
  // Before anything is written: under a wrong secret there is nothing to rotate.
  await openKeys(await deps.storage.listSigningKeys(), await deps.secrets())
  if (source.kind !== 'value') {
    writeSecretFile(source.path, [createMasterSecret(deps.randomBytes), ...readTexts(source.path)])
  }
  const [{ name: newest }] = await deps.secrets()
  const reencrypted = await reencryptKeys(deps, operator())
  const factors = await reencryptFactors(deps)
  const resealed = await resealWebhookSecrets(deps)
  if (source.kind === 'value' && reencrypted + factors + resealed === 0) {
    throw new Error(
      'LATCHKEY_SECRET has the secret that is in use already: put a new one and a comma before it, restart the server, and run this again',
    )
  }
  const text =
    `the master secret is now ${newest}; a running server ` +
    `${source.kind === 'value' ? 'has it since its restart' : 'takes it over within ten seconds'}. ` +
    'The old one stays good until `latchkey secret drop-old`'
  const counts = {
    reencrypted_keys: reencrypted,
    reencrypted_factors: factors,
    reencrypted_webhook_secrets: resealed,
  }
  output(options, { newest, ...counts }, text)
}

const dropHints = {
  new_secret_unused: ': start or restart one, and wait until sessions are refreshed',
  old_secret_used: '. --force drops it all the same',
}

async function dropOld(deps: AdminDeps, source: MasterSecretSource, options: Json & { force?: true }): Promise<void> {
  const secrets = await listMasterSecrets(deps)
  const old = await withConflictHints(dropHints, () => oldSecrets(secrets))
  await openKeys(await deps.storage.listSigningKeys(), await deps.secrets())
  if (!options.force) await withConflictHints(dropHints, () => insistThatUnused(old, deps.now()))
  await reencryptKeys(deps, operator())
  await reencryptFactors(deps)
  await resealWebhookSecrets(deps)
  if (source.kind !== 'value') writeSecretFile(source.path, readTexts(source.path).slice(0, 1))
  const dropped = old.map(({ name }) => name)
  await recordDropped(deps, dropped, operator())
  const text =
    source.kind === 'value'
      ? 'nothing needs the old ones: take them out of LATCHKEY_SECRET and restart'
      : `ended ${dropped.join(', ')}`
  output(options, { newest: secrets[0]?.name, dropped }, text)
}

function readTexts(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split(',')
    .map(text => text.trim())
}
