/** Which factors a sign-in still owes. Pure. */
import { type Factor, type FactorKind, factorKinds, isSecondFactor } from './factor.ts'

/** Of whom a second factor is asked: of nobody, of who has one, of everybody. What a client demands comes on top. */
export const factorPolicies = ['off', 'enrolled', 'all'] as const
export type FactorPolicy = (typeof factorPolicies)[number]

/** `kinds` are those of which one is to be proved; `mustEnroll` when there is none, and one is demanded. */
export type OwedFactors = Readonly<{ kinds: readonly FactorKind[]; mustEnroll: boolean }>

/**
 * @param isDemanded by the client
 * @param amr        what has been proved, RFC 8176
 * @returns undefined when nothing is owed
 */
export function owedFactors(
  policy: FactorPolicy,
  isDemanded: boolean,
  factors: readonly Factor[],
  amr: readonly string[],
): OwedFactors | undefined {
  if (amr.includes('mfa')) return undefined
  const hasFactor = factors.some(isSecondFactor)
  const isOwed = isDemanded || policy === 'all' || (policy === 'enrolled' && hasFactor)
  if (!isOwed) return undefined
  // Codes that stand in for a factor count for nothing without one.
  const kinds = hasFactor ? factorKinds.filter(kind => factors.some(factor => factor.kind === kind)) : []
  return { kinds, mustEnroll: !hasFactor }
}
