/** The options of `latchkey client` that say what a client is. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { audienceProblem, type ClientSettings, readClientSettings } from '../admin/client_settings.ts'
import { type Client, clientAuthenticationMethods, userClaimNames } from '../clients/client.ts'
import { maxAccessTokenLifetime } from '../keys/signing_key.ts'
import { grants } from '../oauth/grants/index.ts'
import { printable } from '../printable.ts'
import { parseDuration } from '../setting_values.ts'
import { UsageError, withOptionNames } from './run.ts'

export type SettingOptions = {
  name?: string
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
  claim?: string[]
  firstParty?: boolean
  requireFactor?: boolean
  signUp?: boolean
}

/** For commands that say what a client is. */
export function addSettings(command: Command): Command {
  return command
    .option('--name <name>', "what its users know it by, such as 'Our app'; '' for its id")
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
    .option(
      '--claim <name>',
      `what its access tokens say of their user (${userClaimNames.join(', ')}); repeat for several, "none" for none`,
      collect,
    )
    .option(
      '--first-party',
      'an app of your own, which may use /authorize-challenge; so is one with the password grant',
    )
    .option('--no-first-party', 'no app of your own, whatever its grants')
    .option('--require-factor', 'each of its sign-ins needs a second factor')
    .option('--no-require-factor', 'its sign-ins need what LATCHKEY_REQUIRE_FACTOR says')
    .option('--sign-up', 'it may sign people up, at /sign-up; needs LATCHKEY_SMTP_URL')
    .option('--no-sign-up', 'it may not')
}

/** What the members of a client's document are called on the command line. */
export function optionNames(options: SettingOptions): Readonly<Record<string, string>> {
  return {
    client_id: '',
    client_secret: '--secret-stdin:',
    client_name: '--name',
    grant_types: '--grant',
    scope: '--scope',
    token_endpoint_auth_methods: '--auth-method',
    jwks: `--jwks ${options.jwks}:`,
    jwks_uri: '--jwks-uri',
    audience: '--audience',
    resources: '--resource',
    cors_origins: '--cors-origin',
    access_token_claims: '--claim',
    first_party: '--first-party',
    require_factor: '--require-factor',
    sign_up: '--sign-up',
  }
}

/** The members of a client that the options name. @throws UsageError */
export function readSettings(options: SettingOptions): Promise<Partial<Client>> {
  return withOptionNames(optionNames(options), () => readClientSettings(documentOf(options)))
}

/** @throws UsageError for what only a command line can have wrong */
export function documentOf(options: SettingOptions): ClientSettings {
  if (options.jwks !== undefined && options.jwksUri !== undefined)
    throw new UsageError('--jwks and --jwks-uri: the keys of a client are here or at an address, not both')
  return {
    client_name: options.name,
    grant_types: options.grant,
    scope: options.scope,
    token_endpoint_auth_methods: options.authMethod,
    jwks: options.jwks === undefined ? undefined : readJson('--jwks', options.jwks),
    jwks_uri: options.jwksUri,
    audience: readAudiences('--audience', 'default', options.audience),
    resources: readAudiences('--resource', 'any', options.resource),
    access_token_ttl: readLifetime('--access-token-ttl', options.accessTokenTtl, maxAccessTokenLifetime),
    refresh_idle_ttl: readLifetime('--refresh-idle-ttl', options.refreshIdleTtl),
    refresh_absolute_ttl: readLifetime('--refresh-absolute-ttl', options.refreshAbsoluteTtl),
    cors_origins: isOnly(options.corsOrigin, 'none') ? [] : options.corsOrigin,
    access_token_claims: isOnly(options.claim, 'none') ? [] : options.claim,
    first_party: options.firstParty,
    require_factor: options.requireFactor,
    sign_up: options.signUp,
  }
}

/** @returns null, which is no JWK Set, for what is no JSON */
function readJson(option: string, file: string): unknown {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return usage(`${option} ${file}: ${(error as Error).message}`)
  }
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** @param none the word that stands alone, for no list */
function readAudiences(option: string, none: string, texts: string[] | undefined): string[] | null | undefined {
  if (isOnly(texts, none)) return null
  return texts?.includes(none) ? usage(`${option} ${none}: ${audienceProblem}`) : texts
}

const isOnly = (texts: readonly string[] | undefined, word: string) => texts?.length === 1 && texts[0] === word

/** @param max seconds */
function readLifetime(option: string, text: string | undefined, max?: number): number | null | undefined {
  if (text === undefined) return undefined
  if (text === 'default') return null
  return parseDuration(text, 1, max) ?? usage(`${option} ${text}: it takes a duration, such as 90s, 15m or 30d`)
}

function usage(message: string): never {
  throw new UsageError(printable(message))
}

export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value]
}
