/** `latchkey client`: the applications that may ask for tokens. */
import { Command } from 'commander'
import type { Config } from '../config.ts'
import { type Client, createClientSecret, isClientId } from '../oauth/client.ts'
import { grants } from '../oauth/grants/index.ts'
import { digestClientSecret } from '../oauth/master_secret.ts'
import { parseScope } from '../oauth/scope.ts'
import type { Storage } from '../oauth/storage.ts'
import { now, randomBytes, readMasterSecrets } from '../setup.ts'
import { formatTime, operatorEvent, output, readSecret, table, UsageError, withStorage } from './run.ts'

type Json = { json?: true }
type SecretOption = { secretStdin?: true }

export function clientCommand(): Command {
  const client = new Command('client').description('add, change and remove clients')

  client
    .command('add <id>')
    .description('add a client; prints the secret of a confidential one, once')
    .option('--public', 'a client without a secret, such as a phone app')
    .option(
      '--grant <type>',
      `a grant type it may use (${Object.keys(grants).join(', ')}); repeat for several`,
      collect,
      [],
    )
    .option('--scope <scope>', 'space-separated scope that it may be granted', '')
    .option('--secret-stdin', 'read the client secret from stdin')
    .option('--json', 'print one JSON document')
    .action(addClient)
  client
    .command('list')
    .description('list all clients')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withStorage(async storage => {
        const clients = (await storage.listClients()).map(describeClient)
        const rows = clients.map(one => [
          one.client_id,
          one.public ? 'public' : 'confidential',
          one.grant_types.join(' '),
          one.scope,
          formatTime(one.disabled_at ?? undefined),
        ])
        output(options, clients, table(['CLIENT', 'TYPE', 'GRANTS', 'SCOPE', 'DISABLED'], rows))
      }),
    )
  client
    .command('show <id>')
    .description('show one client')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) =>
      withStorage(async storage => {
        const document = describeClient(await getClient(storage, id))
        output(
          options,
          document,
          table(
            ['FIELD', 'VALUE'],
            Object.entries(document).map(([name, value]) => [name, value === null ? undefined : String(value)]),
          ),
        )
      }),
    )
  client
    .command('rotate-secret <id>')
    .description('replace the secret of a confidential client at once; prints the new one, once')
    .option('--secret-stdin', 'read the client secret from stdin')
    .option('--json', 'print one JSON document')
    .action(rotateSecret)
  client
    .command('disable <id>')
    .description('refuse every request of a client; its sessions can be refreshed again once it is enabled')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) => setDisabled(id, true, options))
  client
    .command('enable <id>')
    .description('take requests of a disabled client again')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) => setDisabled(id, false, options))
  client
    .command('remove <id>')
    .description('remove a client with all its sessions')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) =>
      withStorage(async storage => {
        await getClient(storage, id)
        await storage.removeClient(id, operatorEvent('client.removed', { clientId: id }))
        output(options, { removed: id }, `removed the client ${id}`)
      }),
    )
  return client
}

type AddOptions = Json & SecretOption & { public?: true; grant: string[]; scope: string }

async function addClient(id: string, options: AddOptions): Promise<void> {
  if (!isClientId(id))
    throw new UsageError('a client id has 1 to 64 letters, digits or . _ ~ - and does not begin with usr_')
  if (options.grant.length === 0) throw new UsageError('name what the client may do with --grant')
  const unknown = options.grant.find(grant => !Object.hasOwn(grants, grant))
  if (unknown !== undefined) throw new UsageError(`--grant ${unknown}: there are ${Object.keys(grants).join(', ')}`)
  if (options.public && options.secretStdin)
    throw new UsageError('a public client has no secret: drop --public or --secret-stdin')
  const scope = parseScope(options.scope)
  if (scope === undefined) throw new UsageError('--scope takes scope tokens separated by spaces (RFC 6749 §3.3)')

  await withStorage(async (storage, config) => {
    const secret = options.public ? undefined : await newSecret(storage, config, options)
    const client = {
      id,
      secretDigest: secret?.digest,
      grantTypes: [...new Set(options.grant)],
      scope: scope.join(' '),
      createdAt: now(),
    }
    if (!(await storage.createClient(client, operatorEvent('client.created', { clientId: id })))) {
      throw new Error(`there is a client ${id} already`)
    }
    output(options, { ...describeClient(client), ...secret?.shown }, `added the client ${id}${showSecret(secret)}`)
  })
}

async function rotateSecret(id: string, options: Json & SecretOption): Promise<void> {
  await withStorage(async (storage, config) => {
    const client = await getClient(storage, id)
    if (client.secretDigest === undefined) throw new Error(`${id} is a public client: it has no secret`)
    const secret = await newSecret(storage, config, options)
    await storage.setClientSecret(id, secret.digest, operatorEvent('client.secret_rotated', { clientId: id }))
    output(options, { ...describeClient(client), ...secret.shown }, `replaced the secret of ${id}${showSecret(secret)}`)
  })
}

type NewSecret = { digest: string; shown: { client_secret?: string } }

/** A secret that we made is shown once; one that the operator gave is known already. */
async function newSecret(storage: Storage, config: Config, options: SecretOption): Promise<NewSecret> {
  const given = options.secretStdin ? await readSecret(true, '--secret-stdin', 'Secret') : undefined
  const secret = given ?? createClientSecret(randomBytes)
  const [masterSecret] = await readMasterSecrets(config.secret, storage)
  return {
    digest: digestClientSecret(secret, masterSecret),
    shown: given === undefined ? { client_secret: secret } : {},
  }
}

function showSecret(secret: NewSecret | undefined): string {
  const text = secret?.shown.client_secret
  return text === undefined ? '' : `\nits secret, which is not shown again: ${text}`
}

async function setDisabled(id: string, disabled: boolean, options: Json): Promise<void> {
  await withStorage(async storage => {
    await getClient(storage, id)
    await storage.setClientDisabled(
      id,
      disabled,
      operatorEvent(disabled ? 'client.disabled' : 'client.enabled', { clientId: id }),
    )
    output(options, describeClient(await getClient(storage, id)), `${id} is ${disabled ? 'disabled' : 'enabled'}`)
  })
}

async function getClient(storage: Storage, id: string): Promise<Client> {
  const client = await storage.findClient(id)
  if (client === undefined) throw new Error(`there is no client ${id}`)
  return client
}

function describeClient(client: Client) {
  return {
    client_id: client.id,
    public: client.secretDigest === undefined,
    grant_types: client.grantTypes,
    scope: client.scope,
    created_at: client.createdAt,
    disabled_at: client.disabledAt ?? null,
  }
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value]
}
