/** The figures: collected, shown as a table, compared with their targets, written to `results.json`. */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

export type Unit =
  | 'per second'
  | 'ms'
  | 'us'
  | 'ratio'
  | 'bytes'
  | 'MB'
  | 'MiB'
  | 'KiB'
  | '%'
  | 'answers'
  | 'rotations'
  | 'devices'

/** A target is what a figure must stay at or below, or at or above. */
export type Figure = Readonly<{
  name: string
  value: number
  unit: Unit
  atMost?: number
  atLeast?: number
}>

/** What a load made of a server: requests a second, milliseconds, microseconds of the server's CPU for each request. */
export type LoadFigures = Readonly<{ perSecond: number; median: number; p99: number; cpu: number }>

let isJudging = true
const figures: Figure[] = []
const loads: ({ name: string } & LoadFigures)[] = []

/** Shows a figure as soon as it is there: a run takes minutes. */
export function report(name: string, value: number, unit: Unit, target: Pick<Figure, 'atMost' | 'atLeast'> = {}): void {
  const figure = { name, value: round(value), unit, ...target }
  figures.push(figure)
  process.stdout.write(`${name.padEnd(58)}${shown(figure.value).padStart(12)} ${unit.padEnd(11)}${verdict(figure)}\n`)
}

export function reportLoad(name: string, { perSecond, median, p99, cpu }: LoadFigures): void {
  const rounded = { perSecond: round(perSecond), median: round(median), p99: round(p99), cpu: round(cpu) }
  loads.push({ name, ...rounded })
  const [a, b, c, d] = Object.values(rounded).map(shown) as [string, string, string, string]
  process.stdout.write(
    `${name.padEnd(44)}${a.padStart(8)} per second ${b.padStart(6)} ms, p99 ${c.padStart(6)} ms ${d.padStart(8)} us of CPU\n`,
  )
}

export function heading(text: string): void {
  process.stdout.write(`\n${text}\n`)
}

/** For a run that is too short for its figures to say whether a target is met. */
export function withholdVerdicts(): void {
  isJudging = false
}

/** Facts of the machine that matter for the figures, and none that name it. */
export function writeResults(file: URL, quick: boolean): void {
  const machine = {
    cores: availableParallelism(),
    node: process.version,
    platform: process.platform,
    arch: process.arch,
  }
  const results = { measuredAt: new Date().toISOString().slice(0, 10), quick, machine, loads, figures }
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function shown(value: number): string {
  return Number.isFinite(value) ? value.toLocaleString('en-US') : '-'
}

function verdict({ value, atMost, atLeast }: Figure): string {
  const judge = (isMet: boolean) => (!isJudging ? '' : isMet ? ': met' : ': MISSED')
  if (atMost !== undefined) return `at most ${shown(atMost)}${judge(value <= atMost)}`
  if (atLeast !== undefined) return `at least ${shown(atLeast)}${judge(value >= atLeast)}`
  return ''
}

/** Three significant digits are more than such figures are good for; whole numbers stay whole. */
function round(value: number): number {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
