/** What the doctor finds of passkeys: those of another domain than the one that is set never work again. */
import type { Config } from '../config.ts'
import type { Storage } from '../storage/storage.ts'
import { parsePasskeyData } from '../users/factors/passkey_data.ts'
import { relyingPartyOf } from '../users/factors/relying_party.ts'
import { type Finding, ok, warning } from './findings.ts'

const pageSize = 500

/** @returns nothing where nobody has a passkey */
export async function examinePasskeys(
  { issuer = 'http://localhost', passkeys }: Pick<Config, 'issuer' | 'passkeys'>,
  storage: Pick<Storage, 'listFactorsOfKind'>,
): Promise<Finding[]> {
  const counts = await countByDomain(storage)
  if (counts.size === 0) return []
  const rpId = relyingPartyOf(issuer, passkeys)?.id
  const others = [...counts].filter(([domain]) => domain !== rpId)
  if (others.length === 0) return [ok('passkeys', describe([...counts]))]
  const now = rpId === undefined ? 'and the host of the issuer, an IP address, has none' : `and the domain is ${rpId}`
  return [
    warning(
      'passkeys',
      `${describe(others)}, ${now}: they do not work`,
      'set LATCHKEY_PASSKEY_RP_ID (or LATCHKEY_ISSUER) as it was, or have their users set up others',
    ),
  ]
}

async function countByDomain(storage: Pick<Storage, 'listFactorsOfKind'>): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  let after: string | undefined = ''
  while (after !== undefined) {
    const page = await storage.listFactorsOfKind('passkey', after, pageSize)
    for (const { data } of page) {
      const domain = parsePasskeyData(data)?.rpId ?? 'no domain that can be read'
      counts.set(domain, (counts.get(domain) ?? 0) + 1)
    }
    after = page.length === pageSize ? page.at(-1)!.id : undefined
  }
  return counts
}

const describe = (counts: readonly (readonly [string, number])[]) =>
  counts.map(([domain, count]) => `${count} of ${domain}`).join(', ')
