/** `latchkey doctor`: looks at everything that a deployment needs, changes nothing, and says what to do. */
import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Command } from 'commander'
import { masterSecretOfDigest } from '../clients/client_secret.ts'
import { type Config, readConfig, readEnvironment } from '../config.ts'
import { openSigningKey } from '../keys/jws.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { keyState } from '../keys/signing_key.ts'
import { firstSignInFile, looseFiles, needsNoSecret, privateFiles, readMasterSecrets } from '../secret_file.ts'
import { openStorage } from '../storage/open.ts'
import { type DatabaseSetting, folderOf } from '../storage/setting.ts'
import type { Storage } from '../storage/storage.ts'
import { now } from '../system.ts'
import { examineBreachedPasswords } from './doctor_breached.ts'
import { examineMail } from './doctor_mail.ts'
import { examinePasskeys } from './doctor_passkeys.ts'
import { examineWebhooks } from './doctor_webhooks.ts'
import { type Finding, failed, ok, warning } from './findings.ts'
import { formatTime, output, table } from './run.ts'

/** Seconds: what clocks of one network differ by at most. */
const clockTolerance = 60
/** Addresses that several users share, and users of each, that are named. */
const maxExamples = 5

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look at the database, secrets, keys, mails, files and clock, change nothing, and say what to do')
    .option('--json', 'print one JSON document')
    .action(async (options: { json?: true }) => {
      const findings = await examine(readConfig(readEnvironment()))
      const failed = findings.filter(({ state }) => state === 'failed').length
      const rows = findings.map(({ check, state, found, advice }) => [
        state,
        check,
        advice === undefined ? found : `${found}: ${advice}`,
      ])
      output(options, { healthy: failed === 0, findings }, table(['STATE', 'CHECK', 'FOUND'], rows))
      if (failed > 0) process.exitCode = 1
    })
}

async function examine(config: Config): Promise<Finding[]> {
  const { database, place } = await examineDatabase(config.database)
  const files = [...examineFiles(config), ...place, ...examineBreachedPasswords(config)]
  // What cannot be read, or is of another version, has nothing more to tell.
  if (database.some(({ state }) => state !== 'ok')) return [...database, ...files]
  const { storage } = await openStorage(config.database, { migrates: false })
  try {
    return [
      ...database,
      ...(await examineSecrets(config, storage)),
      ...(await examinePasskeys(config, storage)),
      await examineEmails(config, storage),
      ...(await examineMail(config, storage)),
      ...files,
      await examineClock(storage),
    ]
  } finally {
    await storage.close()
  }
}

async function examineDatabase(setting: DatabaseSetting): Promise<{ database: Finding[]; place: Finding[] }> {
  if (setting.kind === 'file') {
    const { examineFile } = await import('./doctor_file.ts')
    return examineFile(setting.path)
  }
  const { examineServer } = await import('./doctor_server.ts')
  return examineServer(setting.url)
}

async function examineSecrets(config: Config, storage: Storage): Promise<Finding[]> {
  const { secret: source } = config
  if (source.kind !== 'value' && !existsSync(source.path)) {
    if (source.kind === 'beside_database' && (await needsNoSecret(storage))) {
      return [warning('master secret', `there is no ${source.path} yet`, 'start the server, which makes it')]
    }
    return [failed('master secret', `there is no ${source.path}`, 'bring it back, or set LATCHKEY_SECRET_FILE')]
  }
  let secrets: MasterSecrets
  try {
    secrets = await readMasterSecrets(source, storage)
  } catch (error) {
    return [failed('master secret', (error as Error).message, 'bring the right one back')]
  }
  return [
    examineSecret(config, secrets),
    ...(await examineKeys(config, storage, secrets)),
    await examineClients(storage, secrets),
    ...(await examineWebhooks(storage, secrets)),
  ]
}

function examineSecret({ secret: source, database }: Config, secrets: MasterSecrets): Finding {
  const names = secrets.map(({ name }) => name).join(', ')
  const isBeside = source.kind !== 'value' && dirname(resolve(source.path)) === resolve(folderOf(database))
  if (isBeside && database.kind === 'file') {
    const found = `${names} is in the folder of the database`
    return warning(
      'master secret',
      found,
      'who copies both has everything; keep it elsewhere with LATCHKEY_SECRET_FILE',
    )
  }
  if (secrets.length === 1) return ok('master secret', names)
  return warning('master secret', `${names}: an old one is still there`, 'see latchkey secret status')
}

async function examineKeys(config: Config, storage: Storage, secrets: MasterSecrets): Promise<Finding[]> {
  const keys = await storage.listSigningKeys()
  if (keys.length === 0) return [warning('signing keys', 'there is none', 'start the server, which makes the first')]
  const closed = []
  for (const key of keys) if ((await openSigningKey(key, secrets)) === undefined) closed.push(key.kid)
  if (closed.length > 0) {
    const found = `the master secret does not open ${closed.join(', ')}`
    return [failed('signing keys', found, 'bring the right master secret back')]
  }
  const newest = keys.at(-1)!
  const states = keys.map(key => `${key.alg} ${keyState(key, keys, now())}`).join(', ')
  if (newest.alg !== config.signingAlg) {
    return [warning('signing keys', states, `LATCHKEY_SIGNING_ALG is ${config.signingAlg}: restart the server`)]
  }
  const age = now() - newest.activatesAt
  if (config.keyRotation > 0 && age > config.keyRotation + 86_400) {
    const found = `${states}; the newest is ${Math.floor(age / 86_400)} days old`
    return [warning('signing keys', found, 'a running server rotates it; is one running?')]
  }
  return [ok('signing keys', states)]
}

async function examineClients(storage: Storage, secrets: MasterSecrets): Promise<Finding> {
  const known = new Set(secrets.map(({ name }) => name))
  const clients = await storage.listClients()
  const lost = clients.filter(
    ({ secretDigests }) =>
      secretDigests.length > 0 && !secretDigests.some(digest => known.has(masterSecretOfDigest(digest))),
  )
  if (lost.length === 0) return ok('clients', `${clients.length}`)
  const found = `the secrets of ${lost.map(({ id }) => id).join(', ')} are under a master secret that is gone`
  return failed('clients', found, 'bring it back, or give them new ones with latchkey client rotate-secret')
}

/** What stands in the way of unique addresses, where they are not. */
async function examineEmails({ uniqueEmail }: Config, storage: Storage): Promise<Finding> {
  const check = 'e-mail addresses'
  if (await storage.hasUniqueEmails()) return ok(check, "each is one user's")
  if (uniqueEmail === false) return ok(check, 'several users may have the same one: LATCHKEY_UNIQUE_EMAIL is off')
  const { count, examples } = await storage.listSharedEmails(maxExamples)
  if (count === 0) {
    return warning(check, 'several users may have the same one, and none have', 'set LATCHKEY_UNIQUE_EMAIL=on, or off')
  }
  const shown = examples.map(
    ({ email, users, usernames }) =>
      `${email} (${usernames.join(', ')}${users > usernames.length ? `, and ${users - usernames.length} more` : ''})`,
  )
  const more = count > examples.length ? `, and ${count - examples.length} more` : ''
  const found = `${count} ${count === 1 ? 'is' : 'are'} more than one user's, as address or as username: ${shown.join(', ')}${more}`
  const advice = 'change them with latchkey user update, then set LATCHKEY_UNIQUE_EMAIL=on; or set it off'
  return uniqueEmail ? failed(check, found, advice) : warning(check, found, advice)
}

function examineFiles(config: Config): Finding[] {
  const loose = looseFiles(privateFiles(config))
  const modes =
    loose.length === 0
      ? ok('file modes', 'nobody but their owner reads them')
      : warning(
          'file modes',
          loose.map(({ file, mode }) => `${file} has ${mode}`).join(', '),
          `chmod 600 ${loose.map(({ file }) => file).join(' ')}`,
        )
  const open = openFolders(privateFiles(config))
  const folders =
    open.length === 0
      ? []
      : [
          warning(
            'folders',
            `others can write in ${open.join(', ')}, and put a file of theirs in the place of one`,
            `chmod go-w ${open.join(' ')}`,
          ),
        ]
  const firstSignIn = firstSignInFile(config.database)
  if (!existsSync(firstSignIn)) return [modes, ...folders]
  const advice = 'sign in, change the password and remove the file'
  return [modes, ...folders, warning('first password', `it is still in ${firstSignIn}`, advice)]
}

/** @returns those of the files' folders that anybody but their owner can write in */
function openFolders(files: readonly string[]): string[] {
  const folders = new Set(files.filter(file => existsSync(file)).map(file => dirname(resolve(file))))
  return [...folders].filter(folder => (statSync(folder).mode & 0o022) !== 0)
}

/** A clock that is ahead cannot be told from here; one that was set back can. */
async function examineClock(storage: Storage): Promise<Finding> {
  const [lastEvent] = await storage.listAuditEvents(1)
  const lastKey = (await storage.listSigningKeys()).at(-1)
  const latest = Math.max(lastEvent?.at ?? 0, lastKey?.createdAt ?? 0)
  if (latest <= now() + clockTolerance) return ok('clock', formatTime(now()))
  const found = `it is ${formatTime(now())}, and the database has something of ${formatTime(latest)}`
  return warning('clock', found, 'set the clock by NTP; sessions live on, tokens are off by the difference')
}
