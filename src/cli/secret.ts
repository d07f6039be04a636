/** `latchkey secret`: replacing the master secret without signing anybody out. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { masterSecretOfDigest } from '../clients/client_secret.ts'
import type { MasterSecretSource } from '../config.ts'
import { createMasterSecret, type MasterSecrets } from '../keys/master_secret.ts'
import { masterSecretOf, reencryptSigningKey } from '../keys/signing_key.ts'
import { openKeys, readMasterSecrets, writeSecretFile } from '../secret_file.ts'
import type { Storage } from '../storage/storage.ts'
import { now, randomBytes } from '../system.ts'
import { formatTime, operatorEvent, output, table, withStorage } from './run.ts'

type Json = { json?: true }

/** Seconds until every server has read a changed secret file, with room to spare. */
const reloadMargin = 60

export function secretCommand(): Command {
  const secret = new Command('secret').description('replace the master secret without signing anybody out')

  secret
    .command('status')
    .description('list the master secrets by name, and what depends on each')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withStorage(async (storage, config) => {
        const secrets = await readMasterSecrets(config.secret, storage)
        const uses = await usesOf(storage, secrets)
        const rows = uses.map(one => [
          one.name,
          one.newest ? 'newest' : 'old',
          formatTime(one.used_since ?? undefined),
          one.signing_keys,
          one.clients.join(' ') || undefined,
          one.sessions ?? undefined,
        ])
        output(
          options,
          uses,
          table(['SECRET', 'AGE', 'IN USE SINCE', 'SIGNING KEYS', 'SECRETS OF CLIENTS', 'SESSIONS'], rows),
        )
      }),
    )
  secret
    .command('rotate')
    .description('put a new master secret before the old one and encrypt the signing keys under it')
    .option('--json', 'print one JSON document')
    .action((options: Json) => withStorage((storage, { secret: source }) => rotate(storage, source, options)))
  secret
    .command('drop-old')
    .description('end the old master secrets, once nothing depends on them any more')
    .option(
      '--force',
      'also when sessions or clients still depend on them: those have to sign in, or be given a new secret',
    )
    .option('--json', 'print one JSON document')
    .action((options: Json & { force?: true }) =>
      withStorage((storage, { secret: source }) => dropOld(storage, source, options)),
    )
  return secret
}

async function rotate(storage: Storage, source: MasterSecretSource, options: Json): Promise<void> {
  const before = await readMasterSecrets(source, storage)
  // Before anything is written: under a wrong secret there is nothing to rotate.
  await openKeys(await storage.listSigningKeys(), before)
  if (source.kind !== 'value') {
    writeSecretFile(source.path, [createMasterSecret(randomBytes), ...readTexts(source.path)])
  }
  const secrets = await readMasterSecrets(source, storage)
  const reencrypted = await reencryptKeys(storage, secrets)
  if (source.kind === 'value' && reencrypted === 0) {
    throw new Error(
      'LATCHKEY_SECRET has the secret that is in use already: put a new one and a comma before it, restart the server, and run this again',
    )
  }
  const text =
    `the master secret is now ${secrets[0].name}; a running server ` +
    `${source.kind === 'value' ? 'has it since its restart' : 'takes it over within ten seconds'}. ` +
    'The old one stays good until `latchkey secret drop-old`'
  output(options, { newest: secrets[0].name, reencrypted_keys: reencrypted }, text)
}

async function dropOld(storage: Storage, source: MasterSecretSource, options: Json & { force?: true }): Promise<void> {
  const secrets = await readMasterSecrets(source, storage)
  const [newest, ...old] = await usesOf(storage, secrets)
  if (newest === undefined || old.length === 0) throw new Error('there is no old master secret')
  if (newest.used_since === null) {
    throw new Error(
      'no server uses the new master secret yet: start or restart one, and wait until sessions are refreshed',
    )
  }
  await openKeys(await storage.listSigningKeys(), secrets)
  const clients = [...new Set(old.flatMap(one => one.clients))]
  const sessions = old.reduce((sum, one) => sum + (one.sessions ?? 0), 0)
  if (!options.force && (clients.length > 0 || sessions > 0)) {
    const parts = [
      sessions > 0 &&
        `${sessions} ${sessions === 1 ? 'session was' : 'sessions were'} last refreshed under it and would end`,
      clients.length > 0 && `the secret of ${clients.join(', ')} was last used under it and would no longer be known`,
    ]
    throw new Error(
      `the old master secret is still needed: ${parts.filter(Boolean).join('; ')}. --force drops it all the same`,
    )
  }
  await reencryptKeys(storage, secrets)
  if (source.kind !== 'value') writeSecretFile(source.path, readTexts(source.path).slice(0, 1))
  const dropped = old.map(({ name }) => name)
  await storage.addAuditEvents([operatorEvent('secret.old_dropped', { detail: dropped.join(' ') })])
  const text =
    source.kind === 'value'
      ? 'nothing needs the old ones: take them out of LATCHKEY_SECRET and restart'
      : `ended ${dropped.join(', ')}`
  output(options, { newest: newest.name, dropped }, text)
}

/** @returns how many keys were under another secret than the newest */
async function reencryptKeys(storage: Storage, secrets: MasterSecrets): Promise<number> {
  const [newest] = secrets
  const jwes = new Map<string, string>()
  for (const key of await storage.listSigningKeys()) {
    const jwe = masterSecretOf(key) === newest.name ? undefined : await reencryptSigningKey(key, secrets)
    if (jwe !== undefined) jwes.set(key.kid, jwe)
  }
  if (jwes.size === 0) return 0
  return storage.replacePrivateJwes(jwes, operatorEvent('secret.rotated', { detail: newest.name }))
}

/** The newest first. `sessions`: those with a token that may have been made under an older secret, counted with the first of these. */
async function usesOf(storage: Storage, secrets: MasterSecrets) {
  const keys = await storage.listSigningKeys()
  const clients = await storage.listClients()
  const newestSince = await storage.masterSecretSince(secrets[0].name)
  // Before a server uses the new one, every session is under an old one.
  const seenBefore = newestSince === undefined ? now() : newestSince + reloadMargin
  const older = secrets.length > 1 ? await storage.countSessionsNotSeenSince(seenBefore, now()) : 0
  return Promise.all(
    secrets.map(async ({ name }, i) => ({
      name,
      newest: i === 0,
      used_since: (await storage.masterSecretSince(name)) ?? null,
      signing_keys: keys.filter(key => masterSecretOf(key) === name).length,
      clients: clients
        .filter(({ secretDigests }) => secretDigests.some(digest => masterSecretOfDigest(digest) === name))
        .map(({ id }) => id),
      sessions: i === 1 ? older : null,
    })),
  )
}

function readTexts(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split(',')
    .map(text => text.trim())
}
