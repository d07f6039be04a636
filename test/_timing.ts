/** Whether two kinds of requests can be told apart by their times: the slowest cut off, then Welch's t (ISO/IEC 17825). */

/** |t| from which on two kinds are told apart. */
export const toldApart = 4.5

/** Times in milliseconds, by kind. */
export type Samples = Record<string, number[]>

/** The part of the samples that counts where what is told apart takes milliseconds. */
const kept = 0.9

/** @returns |t| of each kind against the first one */
export function compare(samples: Samples): Record<string, number> {
  const [first = '', ...others] = Object.keys(samples)
  return Object.fromEntries(
    others.map(other => {
      const pooled = [...samples[first]!, ...samples[other]!].sort((a, b) => a - b)
      const limit = pooled[Math.floor(pooled.length * kept)]!
      const cut = (times: readonly number[]) => times.filter(time => time <= limit)
      return [other, Math.abs(welch(cut(samples[first]!), cut(samples[other]!)))]
    }),
  )
}

/** Welch's t of two samples of different variance. */
function welch(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [describe(a), describe(b)]
  return (x.mean - y.mean) / Math.sqrt(x.variance / a.length + y.variance / b.length)
}

function describe(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  return { mean, variance }
}

export function shuffled<T>(values: readonly T[]): T[] {
  const random = values.map(value => ({ value, at: Math.random() }))
  return random.sort((a, b) => a.at - b.at).map(({ value }) => value)
}
