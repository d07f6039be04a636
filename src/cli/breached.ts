/** `latchkey breached`: the filter of passwords that have appeared in data breaches. No command of it asks a network. */
import { Command } from 'commander'
import { buildFilter, type Progress } from '../breached/build.ts'
import { falsePositives, filterHas, hashOf, numberOf, withFilter } from '../breached/filter.ts'
import { toNfc } from '../normal_form.ts'
import { printable, printableLines } from '../printable.ts'
import { now } from '../system.ts'
import { output, readSecret, UsageError } from './run.ts'

type Json = { json?: true }

/** Milliseconds between two lines about how far it is. */
const progressInterval = 5000

export function breachedCommand(): Command {
  const breached = new Command('breached').description(
    'make and ask the filter of LATCHKEY_BREACHED_PASSWORDS: passwords that have appeared in data breaches',
  )
  breached
    .command('build')
    .usage('[options] <list...> <out>')
    .argument(
      '<files...>',
      'downloaded lists of SHA-1 hashes, each a file with lines SHA1HEX:COUNT or a folder of ranges; and last the filter to write',
    )
    .description('build a filter from downloaded lists, offline; says on stderr how far it is')
    .option('--min-count <n>', 'take passwords only that have appeared so often', parseCount, 1)
    .option('--json', 'print one JSON document')
    .action(build)
  breached
    .command('check <file>')
    .description('ask a filter for a password; exit code 1 when it is there')
    .option('--password-stdin', 'read the password from stdin')
    .option('--json', 'print one JSON document')
    .action(check)
  return breached
}

function build(files: readonly string[], { minCount, ...options }: Json & { minCount: number }): void {
  const [lists, out] = [files.slice(0, -1), files.at(-1)!]
  if (lists.length === 0) throw new UsageError('name at least one list, and last the file to write')
  const built = buildFilter(lists, out, { minCount, now: now() }, createProgressLines())
  if (built.missingRanges > 0)
    process.stderr.write(`latchkey: ${built.missingRanges} of the range files are missing: is the download whole?\n`)
  const { count, fileSize } = built
  output(
    options,
    {
      file: out,
      count,
      min_count: minCount,
      bytes: fileSize,
      false_positives: 1 / falsePositives,
      missing_ranges: built.missingRanges,
    },
    `${printable(out)}: ${formatCount(count)} hashes in ${(fileSize / 1e6).toFixed(1)} MB; of other passwords one in ${formatCount(falsePositives)} is refused as well`,
  )
}

async function check(file: string, options: Json & { passwordStdin?: true }): Promise<void> {
  // A file that cannot be used is said before anybody types.
  withFilter(file, () => {})
  const password = await readSecret(options.passwordStdin, '--password-stdin', 'Password')
  const isBreached = withFilter(file, filter =>
    [password, toNfc(password)].some(form => filterHas(filter, numberOf(hashOf(form), filter.scale))),
  )
  output(
    options,
    { breached: isBreached },
    isBreached ? 'it has appeared in data breaches' : 'it is not among the breached ones',
  )
  if (isBreached) process.exitCode = 1
}

function createProgressLines(): (progress: Progress) => void {
  let last = performance.now()
  return ({ hashes, step, part }) => {
    if (performance.now() - last < progressInterval) return
    last = performance.now()
    process.stderr.write(printableLines(`${step}: ${Math.floor(100 * part)} %, ${formatCount(hashes)} hashes\n`))
  }
}

function parseCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (count === 0) throw new UsageError('--min-count takes a whole number from 1 on')
  return count
}

const formatCount = (count: number) => count.toLocaleString('en')
