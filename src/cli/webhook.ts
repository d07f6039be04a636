/** `latchkey webhook`. */
import { Command } from 'commander'
import {
  addWebhook,
  disableWebhook,
  dropOldWebhookSecret,
  enableWebhook,
  listWebhooks,
  readWebhookSettings,
  removeWebhook,
  rotateWebhookSecret,
  type ShownWebhookSecret,
  showWebhook,
  updateWebhook,
  type WebhookDocument,
} from '../admin/webhooks.ts'
import { auditEventTypes } from '../audit/audit.ts'
import { describeDocument, formatTime, operator, output, table, UsageError, withAdmin, withOptionNames } from './run.ts'

type Json = { json?: true }
type Types = { type?: string[] }

const names = { url: 'the URL:', types: '--type' }
const typeHelp = 'a type of event, such as user.removed, or user for all that begin so; repeat for several'

export function webhookCommand(): Command {
  const webhook = new Command('webhook').description('send what happens to other programs (Standard Webhooks)')

  webhook
    .command('add <url>')
    .description('add a webhook, which gets what happens from now on; prints its secret, once')
    .option('--type <type>', `${typeHelp}; all without it`, collect)
    .option('--json', 'print one JSON document')
    .addHelpText('after', `\nTypes:\n${auditEventTypes.map(type => `  ${type}`).join('\n')}`)
    .action(add)
  webhook
    .command('list')
    .description('list all webhooks, and how far each has come')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withAdmin(async deps => {
        const webhooks = await listWebhooks(deps)
        const rows = webhooks.map(one => [
          one.id,
          one.state,
          formatTime(one.delivered_to_at ?? undefined),
          one.types.join(' ') || 'all',
          one.url,
        ])
        output(options, webhooks, table(['WEBHOOK', 'STATE', 'DELIVERED TO', 'TYPES', 'URL'], rows))
      }),
    )
  webhook
    .command('show <id>')
    .description('show one webhook, and what the last attempt came to')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) =>
      withAdmin(async deps => {
        const document = await showWebhook(deps, id)
        output(options, document, describeDocument(document))
      }),
    )
  webhook
    .command('update <id>')
    .description('change what is named by options, from the next event on')
    .option('--url <url>', 'where it is')
    .option('--type <type>', `${typeHelp}; "all" for all`, collect)
    .option('--json', 'print one JSON document')
    .action(update)
  verb(webhook, 'disable <id>', 'send nothing; what happens meanwhile waits in the audit trail', (deps, id) =>
    disableWebhook(deps, id, operator()),
  )
  webhook
    .command('enable <id>')
    .description('begin again with one that was disabled or given up, at the first event that it has not got')
    .option('--from-now', 'leave out what it has not got')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json & { fromNow?: true }) =>
      withAdmin(async deps => say(options, await enableWebhook(deps, id, options.fromNow === true, operator()))),
    )
  webhook
    .command('rotate-secret <id>')
    .description('add a new secret and print it, once; the one before signs as well until the next rotation')
    .option('--now', 'end the old secrets at once')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json & { now?: true }) =>
      withAdmin(async deps => {
        const document = await rotateWebhookSecret(deps, id, options.now === true, operator())
        const about = options.now
          ? `replaced the secret of ${id}`
          : `added a secret to ${id}; the one before signs as well until the next rotation or \`latchkey webhook drop-old-secret ${id}\``
        output(options, document, `${about}${showSecret(document)}`)
      }),
    )
  verb(
    webhook,
    'drop-old-secret <id>',
    'end the secret before the newest, once the receiver knows that one',
    (deps, id) => dropOldWebhookSecret(deps, id, operator()),
  )
  webhook
    .command('remove <id>')
    .description('remove a webhook')
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) =>
      withAdmin(async deps => {
        const { removed } = await removeWebhook(deps, id, operator())
        output(options, { removed }, `removed the webhook ${removed}`)
      }),
    )
  return webhook
}

type Deps = Parameters<Parameters<typeof withAdmin>[0]>[0]

function verb(
  parent: Command,
  usage: string,
  description: string,
  run: (deps: Deps, id: string) => Promise<WebhookDocument>,
): void {
  parent
    .command(usage)
    .description(description)
    .option('--json', 'print one JSON document')
    .action((id: string, options: Json) => withAdmin(async deps => say(options, await run(deps, id))))
}

function say(options: Json, document: WebhookDocument): void {
  const secrets = document.secrets === 1 ? 'one secret' : `${document.secrets} secrets`
  output(options, document, `${document.id} is ${document.state}, and has ${secrets}`)
}

async function add(url: string, options: Json & Types): Promise<void> {
  await withOptionNames(names, () =>
    withAdmin(async (deps, { privateWebhooks }) => {
      const settings = readWebhookSettings({ url, types: options.type }, privateWebhooks)
      const document = await addWebhook(deps, { url, ...settings }, operator())
      output(options, document, `added the webhook ${document.id}${showSecret(document)}`)
    }),
  )
}

async function update(id: string, options: Json & Types & { url?: string }): Promise<void> {
  const { url, type } = options
  if (url === undefined && type === undefined)
    throw new UsageError('name what is to change; see latchkey webhook update --help')
  await withOptionNames(names, () =>
    withAdmin(async (deps, { privateWebhooks }) => {
      const types = type?.includes('all') ? [] : type
      const document = await updateWebhook(deps, id, readWebhookSettings({ url, types }, privateWebhooks), operator())
      output(options, document, `changed the webhook ${id}`)
    }),
  )
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

function showSecret({ secret }: ShownWebhookSecret): string {
  return secret === undefined ? '' : `\nits secret, which is not shown again: ${secret}`
}
