/** What of factors depends on which master secret, and how secrets of time-based codes come under another: page by page, however many. */
import type { MasterSecrets } from '../../keys/master_secret.ts'
import { sealedUnder } from '../../keys/sealed_text.ts'
import type { Factor, FactorKind } from './factor.ts'
import { masterSecretsOfCodes } from './recovery_codes.ts'
import type { FactorStorage } from './storage.ts'
import { openTotpSecret, sealTotpSecret } from './totp.ts'

/** Factors that one step reads and writes: some milliseconds. */
const pageSize = 200

type ResealDeps = Readonly<{
  storage: Pick<FactorStorage, 'listFactorsOfKind' | 'replaceFactorData'>
  randomBytes: (size: number) => Buffer
}>

/**
 * One step of encrypting the secrets of time-based codes under the newest master secret. What cannot be read stays as it is.
 *
 * @param after the result of the last step, '' to begin
 * @returns how many were under another, and where to go on, '' at the end
 */
export async function resealTotpSecrets(
  { storage, randomBytes }: ResealDeps,
  secrets: MasterSecrets,
  after: string,
): Promise<{ resealed: number; next: string }> {
  const page = await storage.listFactorsOfKind('totp', after, pageSize)
  const changes = page.flatMap(factor => {
    const secret = sealedUnder(factor.data) === secrets[0].name ? undefined : openTotpSecret(factor, secrets)
    if (secret === undefined) return []
    return [{ id: factor.id, before: factor.data, after: sealTotpSecret(secret, factor.id, secrets, randomBytes) }]
  })
  const resealed = changes.length === 0 ? 0 : await storage.replaceFactorData(changes)
  return { resealed, next: page.length < pageSize ? '' : page.at(-1)!.id }
}

export type DependentFactors = Readonly<{ totpSecrets: number; recoveryCodes: number }>

/** How many secrets of time-based codes, and how many users with recovery codes, are under which master secret, by its name. */
export async function countFactorsByMasterSecret(
  storage: Pick<FactorStorage, 'listFactorsOfKind'>,
): Promise<ReadonlyMap<string, DependentFactors>> {
  const counts = new Map<string, DependentFactors>()
  const add = (name: string, more: Partial<DependentFactors>) => {
    const { totpSecrets = 0, recoveryCodes = 0 } = counts.get(name) ?? {}
    counts.set(name, {
      totpSecrets: totpSecrets + (more.totpSecrets ?? 0),
      recoveryCodes: recoveryCodes + (more.recoveryCodes ?? 0),
    })
  }
  for await (const factor of allOfKind(storage, 'totp')) add(sealedUnder(factor.data), { totpSecrets: 1 })
  for await (const factor of allOfKind(storage, 'recovery_codes'))
    for (const name of masterSecretsOfCodes(factor)) add(name, { recoveryCodes: 1 })
  return counts
}

async function* allOfKind(storage: Pick<FactorStorage, 'listFactorsOfKind'>, kind: FactorKind): AsyncGenerator<Factor> {
  let after = ''
  do {
    const page = await storage.listFactorsOfKind(kind, after, pageSize)
    yield* page
    after = page.length < pageSize ? '' : page.at(-1)!.id
  } while (after !== '')
}
