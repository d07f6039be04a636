/** Factors as the pages show them: nothing of what they are verified by. */
import type { FactorView } from '../../pages/factors.ts'
import type { Factor } from '../../users/factors/factor.ts'
import { countRecoveryCodes } from '../../users/factors/recovery_codes.ts'

export function factorView(factor: Factor): FactorView {
  const { id, kind, name, createdAt, usedAt } = factor
  return { id, kind, name, createdAt, usedAt, left: kind === 'recovery_codes' ? countRecoveryCodes(factor) : undefined }
}
