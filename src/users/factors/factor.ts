/** Factors: what a user proves to have beside the password. Their record, and how one that counts once is used up. */

/** The names that the database keeps; {@link wireNames} are those of requests and answers. */
export const factorKinds = ['totp', 'recovery_codes', 'passkey'] as const
export type FactorKind = (typeof factorKinds)[number]

/** The parameters that bring a proof of each kind, which also name the kinds in answers. */
export const wireNames = { totp: 'otp', recovery_codes: 'recovery_code', passkey: 'passkey' } as const
export type FactorParam = (typeof wireNames)[FactorKind]

/** Instants are seconds since the epoch. */
export type Factor = Readonly<{
  /** `fac_` and 22 base64url characters; no secret. */
  id: string
  userId: string
  kind: FactorKind
  /** What its user calls it. */
  name?: string | undefined
  createdAt: number
  usedAt?: number | undefined
  /** What a proof is verified by, in the form of its kind: see `totp.ts`, `recovery_codes.ts` and `passkey.ts`. */
  data: string
  /** Only grows: of TOTP the last time step that counted, of a passkey its signature counter; 0 for recovery codes. */
  counter: number
  /** What finds the user where no name is typed: the credential id of a passkey. Of no two factors the same. */
  handle?: string | undefined
}>

/** What was proved with a factor, and what of it counts once. */
export type FactorUse = Readonly<{ factorId: string; at: number }> &
  (
    | Readonly<{ kind: 'totp'; step: number }>
    | Readonly<{ kind: 'recovery_codes'; digest: string }>
    | Readonly<{ kind: 'passkey'; signCount: number }>
  )

/** The most factors of one user. */
export const maxFactors = 10

export const isFactorId = (text: string) => /^fac_[A-Za-z0-9_-]{22}$/.test(text)

export function createFactorId(randomBytes: (size: number) => Buffer): string {
  return `fac_${randomBytes(16).toString('base64url')}`
}

/** Whether it is a second factor by itself: recovery codes only stand in for one. */
export function isSecondFactor({ kind }: Pick<Factor, 'kind'>): boolean {
  return kind !== 'recovery_codes'
}

/**
 * Uses up what counts once. Pure: runs in the transaction of what it lets in, so that of two who bring one code at the same moment, at
 * whichever nodes, one is let in (RFC 6238 §5.2).
 *
 * @param factor as the row is now; undefined when it is gone
 * @returns the factor as it is from now on; undefined when that was used up already
 */
export function spend(factor: Factor | undefined, use: FactorUse): Factor | undefined {
  if (factor === undefined || factor.id !== use.factorId || factor.kind !== use.kind) return undefined
  const used = { ...factor, usedAt: use.at }
  switch (use.kind) {
    case 'totp':
      return use.step > factor.counter ? { ...used, counter: use.step } : undefined
    case 'recovery_codes': {
      const left = factor.data.split(' ')
      if (!left.includes(use.digest)) return undefined
      return { ...used, data: left.filter(digest => digest !== use.digest).join(' ') }
    }
    case 'passkey':
      // WebAuthn §6.1.1: one that keeps no count always says 0.
      if (use.signCount === 0 && factor.counter === 0) return used
      return use.signCount > factor.counter ? { ...used, counter: use.signCount } : undefined
  }
}

/** {@link spend} for all of what was proved, or undefined when any of it was used up. */
export function spendAll(factors: readonly Factor[], uses: readonly FactorUse[]): Factor[] | undefined {
  const spent = new Map<string, Factor>()
  for (const use of uses) {
    const factor = spend(spent.get(use.factorId) ?? factors.find(({ id }) => id === use.factorId), use)
    if (factor === undefined) return undefined
    spent.set(factor.id, factor)
  }
  return [...spent.values()]
}
