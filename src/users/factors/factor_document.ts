/** A factor as its user and operators see it, by whatever way: nothing that it is verified by. */
import type { Factor } from './factor.ts'
import { countRecoveryCodes } from './recovery_codes.ts'

/** Instants are seconds since the epoch. */
export function describeFactor(factor: Factor) {
  return {
    id: factor.id,
    kind: factor.kind,
    name: factor.name ?? null,
    created_at: factor.createdAt,
    used_at: factor.usedAt ?? null,
    ...(factor.kind === 'recovery_codes' && { codes_left: countRecoveryCodes(factor) }),
  }
}

export type FactorDocument = ReturnType<typeof describeFactor>
