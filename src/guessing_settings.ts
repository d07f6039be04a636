/** The settings about what makes guessing dear: rules of passwords, hashes, and the throttle. For the list of `config.ts`. */
import { parseDuration, parseInteger, parseSwitch } from './setting_values.ts'
import { minPassword, minSolePassword } from './users/password_rules.ts'

export const guessingSettings = {
  // Everybody is to be able to choose as many as NIST wants to be allowed, SP 800-63B-4 §3.1.1.2.
  LATCHKEY_PASSWORD_MIN: {
    default: String(minSolePassword),
    takes: `a number of characters, ${minPassword} to 64`,
    parse: (text: string) => parseInteger(text, minPassword, 64),
  },
  LATCHKEY_BREACHED_PASSWORDS: {
    default: '',
    takes: 'the path of a file that latchkey breached build has written',
    parse: (text: string) => text,
  },
  // OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane. The most is what stored hashes may cost.
  LATCHKEY_ARGON2_MEMORY: {
    default: '19456',
    takes: 'KiB, 8 to 1048576',
    parse: (text: string) => parseInteger(text, 8, 1_048_576),
  },
  LATCHKEY_ARGON2_PASSES: {
    default: '2',
    takes: 'a number of passes, 2 to 99',
    parse: (text: string) => parseInteger(text, 2, 99),
  },
  LATCHKEY_ARGON2_LANES: {
    default: '1',
    takes: 'a number of lanes, 1 to 16',
    parse: (text: string) => parseInteger(text, 1, 16),
  },
  LATCHKEY_THROTTLE: { default: 'on', takes: 'on or off', parse: parseSwitch },
  LATCHKEY_THROTTLE_ACCOUNT: allowance('10'),
  LATCHKEY_THROTTLE_NETWORK: allowance('100'),
  // The promise that nobody is locked out everywhere for longer than two minutes holds for every setting.
  LATCHKEY_THROTTLE_LONGEST_DELAY: {
    default: '2m',
    takes: 'a duration from 1s to 2m, such as 30s',
    parse: (text: string) => parseDuration(text, 1, 120),
  },
} as const

function allowance(fallback: string) {
  return {
    default: fallback,
    takes: 'a number of failures, 1 to 1000000',
    parse: (text: string) => parseInteger(text, 1, 1_000_000),
  }
}
