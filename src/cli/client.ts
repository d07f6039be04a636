/** `latchkey client`. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import {
  type Client,
  clientAuthenticationMethods,
  clientProblem,
  clientUpdate,
  createClient,
  hasSecret,
  isClientId,
  isPublic,
  parseClientJwks,
} from '../clients/client.ts'
import { addSecretDigest, createClientSecret, digestClientSecret } from '../clients/client_secret.ts'
import { originProblem, parseOrigin } from '../clients/origin.ts'
import { type Config, parseDuration } from '../config.ts'
import { maxAccessTokenLifetime } from '../keys/signing_key.ts'
import { grants } from '../oauth/grants/index.ts'
import { isAudience } from '../oauth/resource.ts'
import { parseScope } from '../oauth/scope.ts'
import { printable, printableBrief } from '../printable.ts'
import { readMasterSecrets } from '../secret_file.ts'
import type { Storage } from '../storage/storage.ts'
import { now, randomBytes } from '../system.ts'
import { isTypeable } from '../text.ts'
import { countTouchedSessions, describeTouched } from './client_sessions.ts'
import { formatTime, operatorEvent, output, readSecret, table, UsageError, withStorage } from './run.ts'

/** Of a secret that was made elsewhere: with the throttle, as much as a password needs not to be found by trying (RFC 6749 §10.10). */
const shortestSecret = 8

type Json = { json?: true }
type SecretOption = { secretStdin?: true }

export function clientCommand(): Command {
  const client = new Command('client').description('add, change and remove clients')

  addSettings(client.command('add <id>'))
    .description('add a client; prints the secret of one that has a secret, once')
    .option('--public', 'a client without a secret, such as a phone app')
    .option('--secret-stdin', 'read the client secret from stdin')
    .option('--json', 'print one JSON document')
    .action(addClient)
  addSettings(client.command('update <id>'))
    .description('change what is named by options; sessions live on, from their next refresh with what is left')
    .option('--json', 'print one JSON document')
    .action(updateClient)
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
        const rows = Object.entries(document).map(([name, value]) => [
          name,
          typeof value === 'number' && name.endsWith('_at') ? formatTime(value) : describeValue(value),
        ])
        output(options, document, table(['FIELD', 'VALUE'], rows))
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
      withStorage(async storage => {
        await getClient(storage, id)
        await storage.removeClient(id, operatorEvent('client.removed', { clientId: id }))
        output(options, { removed: id }, `removed the client ${id}`)
      }),
    )
  return client
}

type SettingOptions = {
  grant?: string[]
  scope?: string
  authMethod?: string[]
  jwks?: string
  jwksUri?: string
  audience?: string[]
  resource?: string[]
  accessTokenTtl?: string
  refreshIdleTtl?: string
  refreshAbsoluteTtl?: string
  corsOrigin?: string[]
}

function addSettings(command: Command): Command {
  return command
    .option(
      '--grant <type>',
      `a grant type it may use (${Object.keys(grants).join(', ')}); repeat for several`,
      collect,
    )
    .option('--scope <scope>', 'space-separated scope that it may be granted')
    .option(
      '--auth-method <method>',
      `how it may authenticate (${clientAuthenticationMethods.join(', ')}); repeat for several`,
      collect,
    )
    .option('--jwks <file>', 'the JWK Set with its public keys, for private_key_jwt')
    .option('--jwks-uri <uri>', 'where it publishes that JWK Set')
    .option(
      '--audience <audience>',
      'what its tokens may be for, a URI or a name; repeat for several, "default" for the server\'s',
      collect,
    )
    .option(
      '--resource <audience>',
      'what it is the resource server of: /introspect shows it only tokens for that; repeat for several, "any" for all',
      collect,
    )
    .option('--access-token-ttl <duration>', 'such as 5m; "default" for the server\'s')
    .option('--refresh-idle-ttl <duration>', 'such as 30d; "default" for the server\'s')
    .option('--refresh-absolute-ttl <duration>', 'such as 365d; "default" for the server\'s')
    .option(
      '--cors-origin <origin>',
      'an origin of its browser app, or web view (capacitor://localhost); repeat for several, "none" for none',
      collect,
    )
}

/** The members of a client that the options name. */
function readSettings(options: SettingOptions): Partial<Client> {
  const unknown = options.grant?.find(grant => !Object.hasOwn(grants, grant))
  if (unknown !== undefined)
    throw new UsageError(`--grant ${printableBrief(unknown)}: there are ${Object.keys(grants).join(', ')}`)
  const scope = options.scope === undefined ? undefined : parseScope(options.scope)
  if (options.scope !== undefined && scope === undefined)
    throw new UsageError('--scope takes scope tokens separated by spaces (RFC 6749 §3.3)')
  if (options.jwks !== undefined && options.jwksUri !== undefined)
    throw new UsageError('--jwks and --jwks-uri: the keys of a client are here or at an address, not both')
  const methods = options.authMethod?.map(
    text =>
      clientAuthenticationMethods.find(method => method === text) ??
      usage(`--auth-method ${text}: there are ${clientAuthenticationMethods.join(', ')}`),
  )
  return {
    ...(options.grant && { grantTypes: [...new Set(options.grant)] }),
    ...(scope && { scope: scope.join(' ') }),
    ...(methods && { authenticationMethods: [...new Set(methods)] }),
    ...(options.jwks !== undefined && { jwks: readJwks(options.jwks), jwksUri: undefined }),
    ...(options.jwksUri !== undefined && { jwksUri: readJwksUri(options.jwksUri), jwks: undefined }),
    ...(options.audience && { audience: readAudiences('--audience', 'default', options.audience) }),
    ...(options.resource && { resources: readAudiences('--resource', 'any', options.resource) }),
    ...readLifetime('accessTokenLifetime', '--access-token-ttl', options.accessTokenTtl, maxAccessTokenLifetime),
    ...readLifetime('refreshIdleLifetime', '--refresh-idle-ttl', options.refreshIdleTtl),
    ...readLifetime('refreshAbsoluteLifetime', '--refresh-absolute-ttl', options.refreshAbsoluteTtl),
    ...(options.corsOrigin && { corsOrigins: readOrigins(options.corsOrigin) }),
  }
}

function readJwks(file: string) {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`--jwks ${file}: ${(error as Error).message}`)
  }
  return (
    parseClientJwks(text) ??
    usage(`--jwks ${file}: it takes a JWK Set of public signing keys (EC, Ed25519, RSA of 2048 bits at least)`)
  )
}

function readJwksUri(text: string): string {
  const url = URL.parse(text)
  const fits = url !== null && /^https?:$/.test(url.protocol) && url.hash === '' && !url.username && !url.password
  return fits ? text : usage(`--jwks-uri ${text}: it takes an https URL`)
}

/** @param none the word that stands alone, for no list */
function readAudiences(option: string, none: string, texts: string[]): string[] | undefined {
  if (texts.length === 1 && texts[0] === none) return undefined
  const bad = texts.find(text => text === none || !isAudience(text))
  return bad === undefined
    ? [...new Set(texts)]
    : usage(`${option} ${bad}: it takes an absolute URI or a name without colons and spaces`)
}

function readLifetime(member: keyof Client, option: string, text: string | undefined, most?: number) {
  if (text === undefined) return {}
  if (text === 'default') return { [member]: undefined }
  return {
    [member]: parseDuration(text, 1, most) ?? usage(`${option} ${text}: it takes a duration, such as 90s, 15m or 30d`),
  }
}

function readOrigins(texts: string[]): string[] {
  if (texts.length === 1 && texts[0] === 'none') return []
  return texts.map(text => {
    const takes = 'it takes an origin, such as https://app.example.com'
    return parseOrigin(text) ?? usage(`--cors-origin ${text}: ${[takes, originProblem(text) ?? []].flat().join('; ')}`)
  })
}

type AddOptions = Json & SecretOption & SettingOptions & { public?: true }

async function addClient(id: string, options: AddOptions): Promise<void> {
  if (!isClientId(id))
    throw new UsageError('a client id has 1 to 64 letters, digits or . _ ~ - and does not begin with usr_')
  if (options.grant === undefined && options.resource === undefined)
    throw new UsageError(
      'name what the client may do with --grant, or what it is the resource server of with --resource',
    )
  if (options.public && options.secretStdin)
    throw new UsageError('a public client has no secret: drop --public or --secret-stdin')
  if (options.public && options.authMethod) throw new UsageError('--public is --auth-method none: give one of them')
  const settings = readSettings(options)
  const draft = createClient({
    id,
    createdAt: now(),
    scope: '',
    grantTypes: [],
    authenticationMethods: defaultMethods(options, settings),
    ...settings,
  })
  if (options.secretStdin && !hasSecret(draft))
    throw new UsageError('--secret-stdin: a client that authenticates in this way has no secret')

  await withStorage(async (storage, config) => {
    const secret = hasSecret(draft) ? await newSecret(storage, config, options) : undefined
    const client = insistOnSense(secret === undefined ? draft : addSecretDigest(draft, secret.digest), config)
    if (!(await storage.createClient(client, operatorEvent('client.created', { clientId: id })))) {
      throw new Error(`there is a client ${id} already`)
    }
    output(options, { ...describeClient(client), ...secret?.shown }, `added the client ${id}${showSecret(secret)}`)
  })
}

function defaultMethods(options: AddOptions, settings: Partial<Client>): Client['authenticationMethods'] {
  if (options.public) return ['none']
  if (settings.jwks !== undefined || settings.jwksUri !== undefined) return ['private_key_jwt']
  // Both ways of sending one secret are as good; which one a library takes is its own choice.
  return ['client_secret_basic', 'client_secret_post']
}

async function updateClient(id: string, options: Json & SettingOptions): Promise<void> {
  const settings = readSettings(options)
  if (Object.keys(settings).length === 0)
    throw new UsageError('name what is to change; see latchkey client update --help')
  await withStorage(async (storage, config) => {
    const before = await getClient(storage, id)
    const secret =
      hasSecret({ ...before, ...settings }) && !hasSecret(before) ? await newSecret(storage, config, {}) : undefined
    const changed = await storage.changeClient(
      id,
      clientUpdate(
        client => {
          const next = withoutWhatIsNotUsed({ ...client, ...settings }, settings)
          const needsSecret = hasSecret(next) && next.secretDigests.length === 0
          return insistOnSense(
            needsSecret && secret !== undefined ? addSecretDigest(next, secret.digest) : next,
            config,
          )
        },
        operatorEvent('client.updated', { clientId: id, detail: Object.keys(settings).join(' ') }),
      ),
    )
    const touched = changed === undefined ? 0 : await countTouchedSessions(storage, config, before, changed)
    const document = { ...describeClient(changed ?? before), ...secret?.shown, sessions_touched: touched }
    output(options, document, `changed the client ${id}; ${describeTouched(touched)}${showSecret(secret)}`)
  })
}

/** Secrets and keys of a method that the client has no longer; those just given are looked at by {@link clientProblem}. */
function withoutWhatIsNotUsed(client: Client, given: Partial<Client>): Client {
  const keepsKeys = client.authenticationMethods.includes('private_key_jwt') || 'jwks' in given || 'jwksUri' in given
  return {
    ...client,
    ...(!hasSecret(client) && { secretDigests: [] }),
    ...(!keepsKeys && { jwks: undefined, jwksUri: undefined }),
  }
}

function insistOnSense(client: Client, { privateJwksUris }: Config): Client {
  const isPlain = client.jwksUri?.startsWith('https:') === false
  const problem =
    clientProblem(client) ??
    (isPlain && !privateJwksUris
      ? 'the jwks_uri of a client is https, unless LATCHKEY_PRIVATE_JWKS_URIS is on'
      : undefined)
  if (problem !== undefined) throw new UsageError(problem)
  return client
}

async function rotateSecret(id: string, options: Json & SecretOption & { now?: true }): Promise<void> {
  await withStorage(async (storage, config) => {
    const client = await getClient(storage, id)
    if (!hasSecret(client)) {
      throw new Error(
        `${id} ${isPublic(client) ? 'is a public client' : 'authenticates by its keys'}: it has no secret`,
      )
    }
    const secret = await newSecret(storage, config, options)
    const changed = await storage.changeClient(
      id,
      clientUpdate(
        current => addSecretDigest(options.now ? { ...current, secretDigests: [] } : current, secret.digest),
        operatorEvent('client.secret_rotated', { clientId: id }),
      ),
    )
    const document = { ...describeClient(changed ?? client), ...secret.shown }
    const about = options.now
      ? `replaced the secret of ${id}`
      : `added a secret to ${id}; the one before stays good until the next rotation or \`latchkey client drop-old-secret ${id}\``
    output(options, document, `${about}${showSecret(secret)}`)
  })
}

async function dropOldSecret(id: string, options: Json): Promise<void> {
  await withStorage(async storage => {
    const client = await getClient(storage, id)
    const changed = await storage.changeClient(
      id,
      clientUpdate(
        current =>
          current.secretDigests.length > 1
            ? { ...current, secretDigests: current.secretDigests.slice(0, 1) }
            : undefined,
        operatorEvent('client.old_secret_dropped', { clientId: id }),
      ),
    )
    const text = changed === undefined ? `${id} has no old secret` : `ended the old secret of ${id}`
    output(options, describeClient(changed ?? client), text)
  })
}

type NewSecret = { digest: string; shown: { client_secret?: string } }

/** A secret that we made is shown once; one that the operator gave is known already. */
async function newSecret(storage: Storage, config: Config, options: SecretOption): Promise<NewSecret> {
  const given = options.secretStdin ? await readSecret(true, '--secret-stdin', 'Secret') : undefined
  if (given !== undefined && given.length < shortestSecret)
    usage(`--secret-stdin: a client secret has at least ${shortestSecret} characters`)
  if (given !== undefined && !isTypeable(given)) usage('--secret-stdin: a client secret is one line of text')
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
    const event = operatorEvent(disabled ? 'client.disabled' : 'client.enabled', { clientId: id })
    await storage.changeClient(
      id,
      clientUpdate(
        client =>
          disabled === (client.disabledAt !== undefined)
            ? undefined
            : { ...client, disabledAt: disabled ? event.at : undefined },
        event,
      ),
    )
    output(options, describeClient(await getClient(storage, id)), `${id} is ${disabled ? 'disabled' : 'enabled'}`)
  })
}

async function getClient(storage: Storage, id: string): Promise<Client> {
  const client = await storage.findClient(id)
  if (client === undefined) throw new Error(`there is no client ${printableBrief(id)}`)
  return client
}

/** Member names of RFC 7591 §2 where it has one. */
function describeClient(client: Client) {
  return {
    client_id: client.id,
    public: isPublic(client),
    token_endpoint_auth_methods: client.authenticationMethods,
    secrets: client.secretDigests.length,
    jwks: client.jwks ?? null,
    jwks_uri: client.jwksUri ?? null,
    grant_types: client.grantTypes,
    scope: client.scope,
    audience: client.audience ?? null,
    resources: client.resources ?? null,
    access_token_ttl: client.accessTokenLifetime ?? null,
    refresh_idle_ttl: client.refreshIdleLifetime ?? null,
    refresh_absolute_ttl: client.refreshAbsoluteLifetime ?? null,
    cors_origins: client.corsOrigins,
    created_at: client.createdAt,
    disabled_at: client.disabledAt ?? null,
  }
}

function describeValue(value: unknown): string | undefined {
  if (value === null || value === '') return undefined
  if (Array.isArray(value)) return describeValue(value.join(' '))
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function usage(message: string): never {
  throw new UsageError(printable(message))
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value]
}
