/** Names of settings that are none: of before, mistyped, or of nothing. */
import { printableBrief } from './printable.ts'

/** Settings of before, and what each is now whatever anybody wants. */
const fixed = {
  LATCHKEY_THROTTLE_ELSEWHERE: 'three times LATCHKEY_THROTTLE_ACCOUNT',
  LATCHKEY_THROTTLE_SITE: 'ten times LATCHKEY_THROTTLE_NETWORK',
  LATCHKEY_THROTTLE_PASSWORD: '50 failures',
  LATCHKEY_THROTTLE_FORGET_ACCOUNT: '10 minutes',
  LATCHKEY_THROTTLE_FORGET_NETWORK: 'one minute',
  LATCHKEY_THROTTLE_KNOWN_NETWORK: '90 days',
  LATCHKEY_THROTTLE_ENTRIES: '100,000 counters',
}

/** What is wrong with a name, for an operator. @param settings the names of those that there are */
export function unknownSetting(name: string, settings: readonly string[]): string {
  if (isFixed(name)) return `${name} cannot be set any more: it is always ${fixed[name]}; take it out`
  return `${printableBrief(name)} is not a setting of latchkey${suggestion(name, settings)}`
}

function isFixed(name: string): name is keyof typeof fixed {
  return Object.hasOwn(fixed, name)
}

function suggestion(name: string, settings: readonly string[]): string {
  const words = name.split('_').slice(1)
  const near = settings.filter(known => words.length > 0 && words.every(word => known.includes(word)))
  return near.length > 0 ? `; did you mean ${near.join(' or ')}?` : ''
}
