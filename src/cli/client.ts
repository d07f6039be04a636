/** `latchkey client`. */
import { Command } from 'commander'
import { readNewClient } from '../admin/client_settings.ts'
import {
  addClient,
  type ClientDocument,
  dropOldClientSecret,
  getClientWithSecret,
  listClients,
  removeClient,
  rotateClientSecret,
  type ServerSettings,
  type ShownSecret,
  setClientDisabled,
  showClient,
  updateClient,
} from '../admin/clients.ts'
import { browserClientId } from '../clients/browser_client.ts'
import { hasSecret } from '../clients/client.ts'
import type { Config } from '../config.ts'
import { addSettings, documentOf, optionNames, readSettings, type SettingOptions } from './client_options.ts'
import {
  describeDocument,
  formatTime,
  operator,
  output,
  readSecret,
  table,
  UsageError,
  withAdmin,
  withOptionNames,
} from './run.ts'

type Json = { json?: true }
type SecretOption = { secretStdin?: true }

export function clientCommand(): Command {
  const client = new Command('client').description('add, change and remove clients')

  addSettings(client.command('add <id>'))
    .description('add a client; prints the secret of one that has a secret, once')
    .option('--public', 'a client without a secret, such as a phone app')
    .option('--secret-stdin', 'read the client secret from stdin')
    .option('--json', 'print one JSON document')
    .action(add)
  addSettings(client.command('update <id>'))
    .description('change what is named by options; sessions live on, from their next refresh with what is left')
    .option('--json', 'print one JSON document')
    .action(update)
  client
    .command('list')
    .description('list all clients')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withAdmin(async deps => {
        const clients = await listClients(deps)
        const rows = clients.map(one => [
          one.client_id,
          one.public ? 'public' : 'confidential',
          one.grant_types.join(' '),
          one.scope,
          formatTime(one.disabled_at ?? undefined),
        ])
        const text = table(['CLIENT', 'TYPE', 'GRANTS', 'SCOPE', 'DISABLED'], rows)
        output(options, clients, explainBrowser(text, clients))
      }),
    )
  client
    .command('show <id>')
    .description('show one client')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) =>
      withAdmin(async deps => {
        const document = await showClient(deps, id)
        output(options, document, explainBrowser(describeDocument(document), [document]))
      }),
    )
  client
    .command('rotate-secret <id>')
    .description('add a new secret and print it, once; the one before stays good until the next rotation')
    .option('--now', 'end the old secrets at once')
    .option('--secret-stdin', 'read the client secret from stdin')
    .option('--json', 'print one JSON document')
    .action(rotateSecret)
  client
    .command('drop-old-secret <id>')
    .description('end the secret before the newest, once nothing uses it any more')
    .option('--json', 'print one JSON document')
    .action(dropOldSecret)
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
      withAdmin(async deps => {
        const { removed } = await removeClient(deps, id, operator())
        output(options, { removed }, `removed the client ${removed}`)
      }),
    )
  return client
}

type AddOptions = Json & SecretOption & SettingOptions & { public?: true }

async function add(id: string, options: AddOptions): Promise<void> {
  if (options.grant === undefined && options.resource === undefined)
    throw new UsageError(
      'name what the client may do with --grant, or what it is the resource server of with --resource',
    )
  if (options.public && options.secretStdin)
    throw new UsageError('a public client has no secret: drop --public or --secret-stdin')
  if (options.public && options.authMethod) throw new UsageError('--public is --auth-method none: give one of them')
  await withOptionNames(optionNames(options), async () => {
    const draft = readNewClient({ client_id: id, public: options.public, ...documentOf(options) })
    if (options.secretStdin && !hasSecret(draft))
      throw new UsageError('--secret-stdin: a client that authenticates in this way has no secret')
    await withAdmin(async (deps, config) => {
      const secret = await readGivenSecret(options)
      const document = await addClient(deps, draft, { secret, server: serverSettings(config) }, operator())
      output(options, document, `added the client ${id}${showSecret(document)}`)
    })
  })
}

async function update(id: string, options: Json & SettingOptions): Promise<void> {
  const settings = await readSettings(options)
  if (Object.keys(settings).length === 0)
    throw new UsageError('name what is to change; see latchkey client update --help')
  await withOptionNames(optionNames(options), () =>
    withAdmin(async (deps, config) => {
      const document = await updateClient(deps, id, settings, serverSettings(config), operator())
      const touched = describeTouched(document.sessions_touched)
      output(options, document, `changed the client ${id}; ${touched}${showSecret(document)}`)
    }),
  )
}

async function rotateSecret(id: string, options: Json & SecretOption & { now?: true }): Promise<void> {
  await withOptionNames(optionNames({}), () =>
    withAdmin(async deps => {
      // Nobody types a secret for a client that takes none.
      await getClientWithSecret(deps, id)
      const how = { secret: await readGivenSecret(options), endOld: options.now === true }
      const document = await rotateClientSecret(deps, id, how, operator())
      const about = options.now
        ? `replaced the secret of ${id}`
        : `added a secret to ${id}; the one before stays good until the next rotation or \`latchkey client drop-old-secret ${id}\``
      output(options, document, `${about}${showSecret(document)}`)
    }),
  )
}

async function dropOldSecret(id: string, options: Json): Promise<void> {
  await withAdmin(async deps => {
    const { document, hadOne } = await dropOldClientSecret(deps, id, operator())
    output(options, document, hadOne ? `ended the old secret of ${id}` : `${id} has no old secret`)
  })
}

async function setDisabled(id: string, disabled: boolean, options: Json): Promise<void> {
  await withAdmin(async deps => {
    const document = await setClientDisabled(deps, id, disabled, operator())
    output(options, document, `${id} is ${disabled ? 'disabled' : 'enabled'}`)
  })
}

function serverSettings({ audience, issuer, port, privateJwksUris }: Config): ServerSettings {
  return { audience: [audience ?? issuer ?? `http://localhost:${port}`], privateJwksUris }
}

async function readGivenSecret({ secretStdin }: SecretOption): Promise<string | undefined> {
  return secretStdin ? readSecret(true, '--secret-stdin', 'Secret') : undefined
}

function showSecret({ client_secret: text }: ShownSecret): string {
  return text === undefined ? '' : `\nits secret, which is not shown again: ${text}`
}

function describeTouched(count: number): string {
  if (count === 0) return 'no live session is touched'
  return count === 1
    ? '1 live session is touched at its next refresh'
    : `${count} live sessions are touched at their next refresh`
}

/** Nobody has added this one. */
function explainBrowser(text: string, clients: readonly ClientDocument[]): string {
  if (!clients.some(one => one.client_id === browserClientId)) return text
  return `${text}\n(${browserClientId} is the server itself: sign-ins at its pages, made with the first of them; disable it to refuse those)`
}
