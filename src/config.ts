/**
 * Settings: environment variables in, a frozen {@link Config} out. The only reader of the environment.
 * `settings` is the one list of them; the check for unknown names, the test of docs/settings.md and the errors come from it.
 */
import type { BlockList } from 'node:net'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { type BrandSettings, brandSettings, readBrand } from './brand_settings.ts'
import { originProblem, parseOrigin } from './clients/origin.ts'
import { guessingSettings } from './guessing_settings.ts'
import { maxAccessTokenLifetime, type SigningAlg, signingAlgs } from './keys/signing_key.ts'
import type { MailPurpose } from './mail/mail.ts'
import { type MailSettings, mailSettings } from './mail_settings.ts'
import type { OAuthConfig } from './oauth/deps.ts'
import { isAudience } from './oauth/resource.ts'
import { passkeySettings } from './passkey_settings.ts'
import { printableBrief } from './printable.ts'
import { unknownSetting } from './setting_names.ts'
import {
  parseDuration,
  parseHost,
  parseInteger,
  parseIssuer,
  parseList,
  parseNetworks,
  parseSwitch,
  uniqueEmailNeeded,
} from './setting_values.ts'
import { readSmallFile } from './small_file.ts'
import { type DatabaseSetting, databaseProblem, folderOf, parseDatabase } from './storage/setting.ts'
import { type ThrottleSettings, throttleSettings } from './throttle/settings.ts'
import { factorPolicies } from './users/factors/owed.ts'
import type { PasskeySettings } from './users/factors/relying_party.ts'
import { hashingLimits } from './users/hashing_limits.ts'
import type { PasswordHashing } from './users/password.ts'
import { needsUniqueEmail, signInNames } from './users/user.ts'

export type Config = Readonly<{
  host: string
  port: number
  /** What the second listener, for operators, listens on; undefined for none. */
  admin: Readonly<{ host: string; port: number }> | undefined
  database: DatabaseSetting
  secret: MasterSecretSource
  bootstrap: boolean
  /** Whether an address is one user's; undefined for what the database says. */
  uniqueEmail: boolean | undefined
  corsOrigins: readonly string[]
  signingAlg: SigningAlg
  trustProxy: BlockList | undefined
  privateJwksUris: boolean
  privateWebhooks: boolean
  docs: boolean
  /** Seconds between a SIGTERM and the moment when no new connections are taken; undefined for what the terminal decides. */
  drain: number | undefined
  /** Seconds. */
  auditLifetime: number
  /** Seconds between two signing keys; 0 for never. */
  keyRotation: number
  logLevel: string
  passwordHashing: PasswordHashing
  /** Path of a filter; undefined for none. */
  breachedPasswords: string | undefined
  passkeys: PasskeySettings
  brand: BrandSettings
  throttle: ThrottleSettings
  /** Undefined where no mails are sent. */
  mail: MailSettings | undefined
  /** What owners of accounts are told by mail. */
  notices: readonly MailPurpose[]
  /** Undefined parts of the protocol settings depend on the port that the server really got. */
  oauth: Omit<OAuthConfig, 'issuer' | 'audience' | 'relyingParty'>
  issuer: string | undefined
  audience: string | undefined
}>

/** Where the master secret is: its text, or a file. Only the file beside the database may be created. */
export type MasterSecretSource =
  | { kind: 'value'; text: string }
  | { kind: 'file'; path: string }
  | { kind: 'beside_database'; path: string }

/** A setting that cannot be used: one line for the operator that names the variable. Never holds a secret. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  /** sysexits.h EX_CONFIG. */
  static readonly exitCode = 78
}

type Environment = Readonly<Record<string, string | undefined>>

type Setting<T> = {
  default: string
  takes: string
  secret?: true
  parse: (text: string, env: Environment) => T | undefined
  /** Says more of a value that cannot be used. */
  explain?: (text: string, env: Environment) => string | undefined
}

const defineSetting = <T>(setting: Setting<T>): Setting<T> => setting

export const settings = {
  LATCHKEY_HOST: defineSetting({
    default: '127.0.0.1',
    takes: 'an IP address or host name to listen on',
    parse: parseHost,
  }),
  LATCHKEY_PORT: defineSetting({
    default: '3000',
    takes: 'a port, 0 to 65535 (0 picks a free one)',
    parse: text => parseInteger(text, 0, 65_535),
  }),
  LATCHKEY_ADMIN_HOST: defineSetting({
    default: '127.0.0.1',
    takes: 'an IP address or host name to listen on',
    parse: parseHost,
  }),
  LATCHKEY_ADMIN_PORT: defineSetting({
    default: '',
    takes: 'a port, 0 to 65535 (0 picks a free one)',
    parse: text => parseInteger(text, 0, 65_535),
  }),
  LATCHKEY_ISSUER: defineSetting({
    default: '',
    takes: 'an https URL without query or fragment (http only for a loopback host)',
    parse: parseIssuer,
  }),
  LATCHKEY_DATABASE_URL: defineSetting({
    default: 'file:data/latchkey.db',
    takes: 'file:PATH or postgres://USER@HOST/DATABASE',
    // A URL can hold a password.
    secret: true,
    parse: parseDatabase,
    explain: databaseProblem,
  }),
  LATCHKEY_SECRET: defineSetting({
    default: '',
    takes: 'base64url of at least 32 random bytes; several with commas, newest first',
    secret: true,
    parse: text => text,
  }),
  LATCHKEY_SECRET_FILE: defineSetting({
    default: '',
    takes: 'the path of a file that holds the master secret',
    parse: text => text,
  }),
  LATCHKEY_BOOTSTRAP: defineSetting({ default: 'on', takes: 'on or off', parse: parseSwitch }),
  LATCHKEY_UNIQUE_EMAIL: defineSetting({ default: '', takes: 'on or off', parse: parseSwitch }),
  LATCHKEY_SIGN_IN_BY: defineSetting({
    default: 'username',
    takes: signInNames.join(', '),
    parse: text => signInNames.find(name => name === text),
  }),
  LATCHKEY_CORS_ORIGINS: defineSetting({
    default: '',
    takes: 'origins separated by commas, such as https://app.example.com or capacitor://localhost',
    parse: text => parseList(text, parseOrigin),
    explain: text => text.split(',').flatMap(item => originProblem(item.trim()) ?? [])[0],
  }),
  LATCHKEY_AUDIENCE: defineSetting({
    default: '',
    takes: 'an absolute URI, or a name without colons and spaces',
    parse: text => (isAudience(text) ? text : undefined),
  }),
  LATCHKEY_SIGNING_ALG: defineSetting({
    default: 'ES256',
    takes: signingAlgs.join(', '),
    parse: text => signingAlgs.find(alg => alg === text),
  }),
  LATCHKEY_DRAIN: defineSetting({
    default: '',
    takes: 'a duration of at most 10m, such as 5s; 0 to stop at once',
    parse: text => parseDuration(text, 0, 600),
  }),
  LATCHKEY_KEY_ROTATION: defineSetting({
    default: '90d',
    takes: 'a duration of at least 2d, such as 90d; 0 turns it off',
    // A key that is replaced stays for a day and a few minutes.
    parse: text => (text === '0' ? 0 : parseDuration(text, 2 * 86_400)),
  }),
  LATCHKEY_ACCESS_TOKEN_TTL: defineSetting({
    default: '15m',
    takes: 'a duration from 1s to 1d, such as 900, 90s or 15m',
    parse: text => parseDuration(text, 1, maxAccessTokenLifetime),
  }),
  LATCHKEY_REFRESH_IDLE_TTL: defineSetting({
    default: '30d',
    takes: 'a duration, such as 12h or 30d',
    parse: text => parseDuration(text, 1),
  }),
  LATCHKEY_REFRESH_ABSOLUTE_TTL: defineSetting({
    default: '365d',
    takes: 'a duration, such as 90d',
    parse: text => parseDuration(text, 1),
  }),
  LATCHKEY_REFRESH_RETRY_WINDOW: defineSetting({
    default: '60s',
    takes: 'a duration of at most 1h, such as 60s',
    parse: text => parseDuration(text, 0, 3600),
  }),
  LATCHKEY_REFRESH_LATE_RETRY: defineSetting({
    default: '',
    takes: 'a duration, such as 7d; 0 turns late retries off',
    parse: text => parseDuration(text, 0),
  }),
  LATCHKEY_SESSION_LIMIT: defineSetting({
    default: '100',
    takes: 'a number of sessions, 1 to 10000',
    parse: text => parseInteger(text, 1, 10_000),
  }),
  LATCHKEY_REQUIRE_FACTOR: defineSetting({
    default: 'enrolled',
    takes: factorPolicies.join(', '),
    parse: text => factorPolicies.find(policy => policy === text),
  }),
  ...passkeySettings,
  ...brandSettings,
  LATCHKEY_TRUST_PROXY: defineSetting({
    default: '',
    takes: 'addresses or networks separated by commas, such as 10.0.0.0/8,::1',
    parse: parseNetworks,
  }),
  LATCHKEY_PRIVATE_JWKS_URIS: defineSetting({ default: 'off', takes: 'on or off', parse: parseSwitch }),
  LATCHKEY_PRIVATE_WEBHOOKS: defineSetting({ default: 'off', takes: 'on or off', parse: parseSwitch }),
  LATCHKEY_DOCS: defineSetting({ default: 'on', takes: 'on or off', parse: parseSwitch }),
  LATCHKEY_AUDIT_TTL: defineSetting({
    default: '365d',
    takes: 'a duration of at least 1d, such as 90d',
    parse: text => parseDuration(text, 86_400),
  }),
  LATCHKEY_LOG_LEVEL: defineSetting({
    default: 'info',
    takes: 'error, warn, info, debug or silent',
    parse: text => ['error', 'warn', 'info', 'debug', 'silent'].find(level => level === text),
  }),
  ...mailSettings,
  ...guessingSettings,
}

type SettingName = keyof typeof settings
type SettingValue<N extends SettingName> = (typeof settings)[N] extends Setting<infer T> ? T : never

/**
 * Reads the settings.
 *
 * @param env    environment variables; those that do not begin with `LATCHKEY_` are ignored
 * @throws ConfigError naming every variable that is unknown or has a bad value, one a line
 */
export function readConfig(env: Environment): Config {
  const problems = Object.keys(env)
    .filter(name => name.startsWith('LATCHKEY_') && !Object.hasOwn(settings, name))
    .map(name => unknownSetting(name, Object.keys(settings)))

  // An empty variable counts as unset: that is how compose files and unit files leave one out.
  function read<N extends SettingName>(name: N): SettingValue<N> {
    const setting = settings[name] as unknown as Setting<SettingValue<N>>
    const given = env[name]
    const text = given === undefined || given === '' ? setting.default : given
    // What Node makes of bytes that are not UTF-8: another file, another audience than was meant.
    if (text.includes('\ufffd')) {
      problems.push(`${name} has a value that is not UTF-8`)
      return undefined as SettingValue<N>
    }
    const value = text === '' ? undefined : setting.parse(text, env)
    if (value === undefined && text !== '') {
      const why = setting.explain?.(text, env)
      problems.push(
        `${name} ${setting.secret ? 'has a value that' : `is ${printableBrief(JSON.stringify(given))}, which`} cannot be used; it takes ${setting.takes}${why === undefined ? '' : `; ${why}`}`,
      )
    }
    return value as SettingValue<N>
  }
  const optional = <N extends SettingName>(name: N): SettingValue<N> | undefined => read(name)

  const database = read('LATCHKEY_DATABASE_URL')
  const [issuer, brand] = [optional('LATCHKEY_ISSUER'), readBrand(optional)]
  const [uniqueEmail, signInBy] = [optional('LATCHKEY_UNIQUE_EMAIL'), read('LATCHKEY_SIGN_IN_BY')]
  const [smtp, from] = [optional('LATCHKEY_SMTP_URL'), optional('LATCHKEY_MAIL_FROM')]
  const [adminHost, adminPort] = [read('LATCHKEY_ADMIN_HOST'), optional('LATCHKEY_ADMIN_PORT')]
  const config: Config = {
    host: read('LATCHKEY_HOST'),
    port: read('LATCHKEY_PORT'),
    admin: adminPort === undefined ? undefined : { host: adminHost, port: adminPort },
    database,
    secret: secretSource(optional('LATCHKEY_SECRET'), optional('LATCHKEY_SECRET_FILE'), database),
    bootstrap: read('LATCHKEY_BOOTSTRAP') === 'on',
    uniqueEmail: uniqueEmail && uniqueEmail === 'on',
    corsOrigins: optional('LATCHKEY_CORS_ORIGINS') ?? [],
    signingAlg: read('LATCHKEY_SIGNING_ALG'),
    trustProxy: optional('LATCHKEY_TRUST_PROXY'),
    privateJwksUris: read('LATCHKEY_PRIVATE_JWKS_URIS') === 'on',
    privateWebhooks: read('LATCHKEY_PRIVATE_WEBHOOKS') === 'on',
    docs: read('LATCHKEY_DOCS') === 'on',
    drain: optional('LATCHKEY_DRAIN'),
    keyRotation: read('LATCHKEY_KEY_ROTATION'),
    auditLifetime: read('LATCHKEY_AUDIT_TTL'),
    logLevel: read('LATCHKEY_LOG_LEVEL'),
    passwordHashing: {
      memory: read('LATCHKEY_ARGON2_MEMORY'),
      passes: read('LATCHKEY_ARGON2_PASSES'),
      lanes: read('LATCHKEY_ARGON2_LANES'),
      ...hashingLimits(),
    },
    breachedPasswords: optional('LATCHKEY_BREACHED_PASSWORDS'),
    passkeys: {
      rpId: optional('LATCHKEY_PASSKEY_RP_ID'),
      relatedOrigins: optional('LATCHKEY_PASSKEY_ORIGINS') ?? [],
      appleApps: optional('LATCHKEY_APPLE_APPS') ?? [],
      androidApps: optional('LATCHKEY_ANDROID_APPS') ?? [],
    },
    brand,
    throttle: throttleSettings({
      enabled: read('LATCHKEY_THROTTLE') === 'on',
      account: read('LATCHKEY_THROTTLE_ACCOUNT'),
      network: read('LATCHKEY_THROTTLE_NETWORK'),
      maxDelay: read('LATCHKEY_THROTTLE_LONGEST_DELAY'),
      namesPerAccount: signInBy === 'both' ? 2 : 1,
    }),
    mail: smtp && from && { smtp, from },
    notices: read('LATCHKEY_NOTICES'),
    oauth: {
      accessTokenLifetime: read('LATCHKEY_ACCESS_TOKEN_TTL'),
      sessionLimit: read('LATCHKEY_SESSION_LIMIT'),
      minSolePassword: read('LATCHKEY_PASSWORD_MIN'),
      signInBy,
      requireFactor: read('LATCHKEY_REQUIRE_FACTOR'),
      hasMail: smtp !== undefined,
      mailLanguage: read('LATCHKEY_MAIL_LANGUAGE'),
      signUp: read('LATCHKEY_SIGN_UP') === 'on',
      serviceNames: [issuer && new URL(issuer).hostname, brand.name].filter(name => name !== undefined),
      refresh: {
        idleLifetime: read('LATCHKEY_REFRESH_IDLE_TTL'),
        absoluteLifetime: read('LATCHKEY_REFRESH_ABSOLUTE_TTL'),
        retryWindow: read('LATCHKEY_REFRESH_RETRY_WINDOW'),
        lateRetryWindow: optional('LATCHKEY_REFRESH_LATE_RETRY'),
      },
    },
    issuer,
    audience: optional('LATCHKEY_AUDIENCE'),
  }
  if (env.LATCHKEY_SECRET && env.LATCHKEY_SECRET_FILE) {
    problems.push('LATCHKEY_SECRET and LATCHKEY_SECRET_FILE are both set; give one of them')
  }
  if (database?.kind === 'postgres' && config.secret.kind === 'beside_database') {
    problems.push(
      'LATCHKEY_SECRET and LATCHKEY_SECRET_FILE are both missing; with PostgreSQL give one of them: every node needs the same master secret',
    )
  }
  if ((env.LATCHKEY_SMTP_URL || '') !== '' && !env.LATCHKEY_MAIL_FROM)
    problems.push('LATCHKEY_MAIL_FROM is missing: mails come from somebody')
  if (config.oauth.signUp && smtp === undefined)
    problems.push('LATCHKEY_SIGN_UP=on needs LATCHKEY_SMTP_URL: who signs up proves an address first')
  if (uniqueEmail === 'off' && needsUniqueEmail(signInBy)) problems.push(uniqueEmailNeeded(signInBy))
  if (config.passwordHashing.memory < 8 * config.passwordHashing.lanes) {
    problems.push('LATCHKEY_ARGON2_MEMORY must be at least 8 KiB for each lane of LATCHKEY_ARGON2_LANES')
  }
  if (problems.length > 0) throw new ConfigError(problems.join('\n'))
  return Object.freeze(config)
}

/** In the working directory. */
export const envFile = '.env'

/** What `.env` sets, whether or not the environment sets it otherwise; nothing when there is no such file. */
export function readEnvFile(): Record<string, string | undefined> {
  try {
    return parseEnv(readSmallFile(envFile) ?? '')
  } catch (error) {
    throw new ConfigError(`cannot read ${envFile}: ${(error as Error).message}`)
  }
}

/** The process's environment, with what `.env` in the working directory adds to it. */
export function readEnvironment(): Record<string, string | undefined> {
  return { ...readEnvFile(), ...process.env }
}

function secretSource(
  value: string | undefined,
  file: string | undefined,
  database: DatabaseSetting | undefined,
): MasterSecretSource {
  if (value !== undefined) return { kind: 'value', text: value }
  if (file !== undefined) return { kind: 'file', path: file }
  return { kind: 'beside_database', path: join(database === undefined ? '.' : folderOf(database), 'secret') }
}
