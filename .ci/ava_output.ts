/** What AVA's default reporter has printed, as data. `.ci/tests.ts` decides by it. */

export type Failure = Readonly<{
  /** As AVA prints it: `folder › file › title`, or only the title where it ran a single file. */
  title: string
  /** AVA's own lines about it. */
  lines: readonly string[]
}>

export type AvaOutput = Readonly<{
  passed: number
  failures: readonly Failure[]
  /** Lines about whatever went wrong beside tests and hooks: an exception that nobody caught, a process that ended, a timeout of the run. */
  troubles: readonly string[]
  /** Whether the run came to its end and its closing lines count just these failures. */
  isWhole: boolean
}>

const failed = /^ {2}✘ \[(?:fail|unexpected pass)\]: (.*)$/
const trouble = /^ {2}(?:✘ (?!\[)|Uncaught exception in |Unhandled rejection in )|^✘ Timed out/
const closing = /^ {2}(\d+) (?:(?:tests?|hooks?) failed|tests? passed)$/
const otherClosing = /^ {2}\d+ (?:uncaught exceptions?|unhandled rejections?|tests? remained pending)/
const rule = '  ─'
const maxTroubleLines = 20

/** @param text of one run, without colours */
export function readAvaOutput(text: string): AvaOutput {
  const lines = text.split('\n').map(line => line.trimEnd())
  const summaries = lines.flatMap(line => failed.exec(line)?.[1] ?? [])
  const from = lines.indexOf(rule, lines.findLastIndex(line => failed.test(line) || line.startsWith('  ✔ ')) + 1)
  const to = lines.lastIndexOf(rule)
  const failures = readFailures(summaries, from === -1 ? [] : lines.slice(from + 1, to))
  const closings = lines.filter(line => closing.test(line))
  const counted = closings.reduce(
    (sum, line) => sum + (line.endsWith('failed') ? Number(closing.exec(line)![1]) : 0),
    0,
  )
  const troubles = lines.flatMap((line, i) => (trouble.test(line) ? lines.slice(i, i + maxTroubleLines) : []))
  return {
    passed: lines.filter(line => line.startsWith('  ✔ ')).length,
    failures,
    troubles,
    isWhole:
      closings.length > 0 &&
      counted === summaries.length &&
      troubles.length === 0 &&
      !lines.some(line => otherClosing.test(line)),
  }
}

/**
 * @param summaries of one line each: the title, and what AVA has to say about it right behind
 * @param details   for each summary, in the same order, the title alone in a line and then its error
 */
function readFailures(summaries: readonly string[], details: readonly string[]): Failure[] {
  const found: { title: string; at: number }[] = []
  let next = 0
  for (const summary of summaries) {
    const at = details.findIndex(
      (line, i) =>
        i >= next && details[i - 1] === '' && line.length > 2 && `${summary} `.startsWith(`${line.slice(2)} `),
    )
    // Without its details the whole summary has to do.
    found.push({ title: at === -1 ? summary : details[at]!.slice(2), at })
    if (at !== -1) next = at + 1
  }
  return found.map(({ title, at }, i) => {
    const end = found.slice(i + 1).find(other => other.at !== -1)?.at
    const lines = at === -1 ? [`  ${summaries[i]}`] : details.slice(at, end)
    return { title, lines: lines.join('\n').trimEnd().split('\n') }
  })
}
