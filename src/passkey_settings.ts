/** The settings about passkeys, for the list of `config.ts`. */
import { originProblem, parseOrigin } from './clients/origin.ts'
import { parseIssuer, parseList } from './setting_values.ts'
import { type AndroidApp, readFingerprint, rpIdProblem } from './users/factors/relying_party.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The issuer that a bad text of it is refused for is another problem than these. */
const issuerOf = (env: Environment) => parseIssuer(env.LATCHKEY_ISSUER || '') ?? 'http://localhost'

export const passkeySettings = {
  LATCHKEY_PASSKEY_RP_ID: {
    default: '',
    takes: 'the host of LATCHKEY_ISSUER, or a domain which that is in, such as example.com',
    parse: (text: string, env: Environment) => (rpIdProblem(text, issuerOf(env)) === undefined ? text : undefined),
    explain: (text: string, env: Environment) => rpIdProblem(text, issuerOf(env)),
  },
  LATCHKEY_PASSKEY_ORIGINS: {
    default: '',
    takes: 'https origins separated by commas, such as https://app.example.com (http only for localhost)',
    parse: (text: string) => parseList(text, parsePageOrigin),
    explain: (text: string) => text.split(',').flatMap(item => pageOriginProblem(item.trim()) ?? [])[0],
  },
  LATCHKEY_APPLE_APPS: {
    default: '',
    takes: 'apps separated by commas, each a team of ten characters, a dot and a bundle: A1B2C3D4E5.com.example.app',
    parse: (text: string) => parseList(text, parseAppleApp),
  },
  LATCHKEY_ANDROID_APPS: {
    default: '',
    takes: 'apps separated by commas, each a package, = and the SHA-256 of its certificate: com.example.app=14:6D:…',
    parse: (text: string) => parseList(text, parseAndroidApp),
  },
}

/** Only pages that are safe from others in the network have passkeys, and browsers count those of their own machine to them. */
function parsePageOrigin(text: string): string | undefined {
  const origin = parseOrigin(text)
  return origin !== undefined && /^https:|^http:\/\/localhost(?::|$)/.test(origin) ? origin : undefined
}

function pageOriginProblem(text: string): string | undefined {
  if (parsePageOrigin(text) !== undefined) return undefined
  if (text.startsWith('android:')) return 'that of an app follows from LATCHKEY_ANDROID_APPS'
  return originProblem(text) ?? 'a page that is not https has no passkeys'
}

function parseAppleApp(text: string): string | undefined {
  return /^[A-Z0-9]{10}\.[A-Za-z0-9](?:[A-Za-z0-9.-]{0,153}[A-Za-z0-9])?$/.test(text) ? text : undefined
}

function parseAndroidApp(text: string): AndroidApp | undefined {
  const [packageName = '', given = '', ...rest] = text.split('=')
  const fingerprint = readFingerprint(given)
  const isPackage = packageName.length <= 255 && /^[A-Za-z]\w*(?:\.[A-Za-z]\w*)+$/.test(packageName)
  return isPackage && fingerprint !== undefined && rest.length === 0 ? { packageName, fingerprint } : undefined
}
