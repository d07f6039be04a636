/** The figures: collected, shown as a table, compared with their targets, written to `results.json`. */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

export type Unit = 'per second' | 'ms' | 'us' | 'ratio' | 'bytes' | 'MiB' | '%'

/** A target is what a figure must stay at or below, or at or above. */
export type Figure = Readonly<{
  name: string
  value: number
  unit: Unit
  atMost?: number
  atLeast?: number
}>

const figures: Figure[] = []

/** Shows a figure as soon as it is there: a run takes minutes. */
export function report(name: string, value: number, unit: Unit, target: Pick<Figure, 'atMost' | 'atLeast'> = {}): void {
  const figure = { name, value: round(value), unit, ...target }
  figures.push(figure)
  const shown = Number.isFinite(value) ? figure.value.toLocaleString('en-US') : '-'
  process.stdout.write(`${name.padEnd(58)}${shown.padStart(12)} ${unit.padEnd(11)}${verdict(figure)}\n`)
}

export function heading(text: string): void {
  process.stdout.write(`\n${text}\n`)
}

/** Facts of the machine that matter for the figures, and none that name it. */
export function writeResults(file: URL, quick: boolean): void {
  const machine = {
    cores: availableParallelism(),
    node: process.version,
    platform: process.platform,
    arch: process.arch,
  }
  const results = { measuredAt: new Date().toISOString().slice(0, 10), quick, machine, figures }
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function verdict({ value, atMost, atLeast }: Figure): string {
  if (atMost !== undefined) return `at most ${atMost}: ${value <= atMost ? 'met' : 'MISSED'}`
  if (atLeast !== undefined) return `at least ${atLeast}: ${value >= atLeast ? 'met' : 'MISSED'}`
  return ''
}

/** Three significant digits are more than such figures are good for; whole numbers stay whole. */
function round(value: number): number {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
