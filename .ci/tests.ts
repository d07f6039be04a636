/**
 * `npm test` and `npm run test:slow`, and what came of them: the names and errors of what failed stand at the very end, where a log
 * that was cut still has them. A run that fails does not hide the next one.
 *
 * A shared machine makes a test late now and then. So the files of a few failed tests are run once more, alone, and what fails
 * then has failed; which tests passed only then is said openly. More than a few, or anything else that went wrong, is red at once.
 *
 * Usage: tests.ts FILE; writes `PASSED FAILED` into FILE.
 */
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { type AvaOutput, type Failure, readAvaOutput } from './ava_output.ts'

type Ended = Readonly<{ text: string; code: number | null }>
/** `name` is that of the script in package.json. */
type Run = Readonly<{ name: string; code: number | null; text: string; ava: AvaOutput }>

const root = join(import.meta.dirname, '..')
const maxTriedAgain = 5
/** Milliseconds for all that are tried again. */
const maxAloneTime = 240_000
const maxLines = 150
const minLinesEach = 10

const runs = [...(await runFast()), await run('test:slow')]
const broken = runs.filter(({ code }) => code !== 0)
const firstFailures = broken.flatMap(({ ava }) => ava.failures)
const mayTryAgain =
  broken.every(({ ava }) => ava.isWhole && ava.failures.length > 0) && firstFailures.length <= maxTriedAgain
const { failed, passedAlone } = mayTryAgain ? await tryAgain(broken) : { failed: broken, passedAlone: [] }

report(failed)
if (passedAlone.length > 0) console.log(['', 'passed when run alone:', ...passedAlone].join('\n'))
const failedCount = failed.reduce((sum, { ava }) => sum + Math.max(1, ava.failures.length), 0)
const passedCount = runs.reduce((sum, { ava }) => sum + ava.passed, 0) + passedAlone.length
writeFileSync(process.argv[2]!, `${passedCount} ${failedCount}\n`)

/** `npm test`, and the runs in it that it did not come to because one before failed. */
async function runFast(): Promise<Run[]> {
  const { text, code } = await execute('npm', ['test'])
  const headers = [...text.matchAll(/^> \S+@\S+ (check|test:sqlite|test:postgres)$/gm)]
  const parts = headers.map(({ 1: name, index }, i) => ({
    name: name!,
    text: text.slice(index, headers[i + 1]?.index),
  }))
  // It stops at the first that fails.
  const made = (parts.length > 0 ? parts : [{ name: 'test', text }]).map((part, i, { length }) =>
    createRun(part.name, { text: part.text, code: i === length - 1 ? code : 0 }),
  )
  for (const name of ['test:sqlite', 'test:postgres'])
    if (!made.some(run => run.name === name)) made.push(await run(name))
  return made
}

async function run(name: string): Promise<Run> {
  return createRun(name, await execute('npm', ['run', name]))
}

function createRun(name: string, { text, code }: Ended): Run {
  return { name, code, text, ava: readAvaOutput(text) }
}

/** Runs each file with a failed test alone. @returns what failed then, and the titles of those that did not */
async function tryAgain(broken: readonly Run[]): Promise<{ failed: Run[]; passedAlone: string[] }> {
  const failed: Run[] = []
  const passedAlone: string[] = []
  const deadline = Date.now() + maxAloneTime
  for (const first of broken) {
    for (const [file, failures] of Map.groupBy(first.ava.failures, fileOf)) {
      const again = file && (await runAlone(first.name, file, deadline - Date.now()))
      if (!again || !isExplained(again)) {
        failed.push({ ...first, ava: { ...first.ava, failures } })
        continue
      }
      const prefix = titlePrefix(file)
      const still = again.ava.failures.map(failure => ({ ...failure, title: prefix + failure.title }))
      if (still.length > 0) failed.push({ ...again, ava: { ...again.ava, failures: still } })
      const titles = failures.map(({ title }) => title).filter(title => still.every(other => other.title !== title))
      passedAlone.push(...titles.map(title => `  ${first.name}: ${title}`))
    }
  }
  return { failed, passedAlone }
}

function isExplained({ code, ava }: Run): boolean {
  return ava.isWhole && code === (ava.failures.length > 0 ? 1 : 0)
}

async function runAlone(name: string, file: string, time: number): Promise<Run | undefined> {
  if (time <= 0) return undefined
  console.log(`\nonce more, alone: ${name}: ${file}\n`)
  const config = name === 'test:postgres' ? ['--config', 'ava.postgres.config.js'] : []
  const ended = await execute(join(root, 'node_modules/.bin/ava'), [...config, '-c', '1', file], time)
  return createRun(name, ended)
}

/** The file of a test by the title that AVA gives it where it runs several files: `users › password › is …`. */
function fileOf({ title }: Failure): string | undefined {
  const parts = title.split(' › ')
  return parts
    .map((_, i) => `test/${parts.slice(0, i + 1).join('/')}.test.ts`)
    .find(file => existsSync(join(root, file)))
}

/** What AVA leaves out where it runs a single file. */
function titlePrefix(file: string): string {
  return file.slice('test/'.length, -'.test.ts'.length).replaceAll('/', ' › ').concat(' › ')
}

function report(failed: readonly Run[]): void {
  if (failed.length === 0) return
  const titles = failed.flatMap(({ name, ava }) => ava.failures.map(({ title }) => `  ${name}: ${title}`))
  const broken = failed.filter(({ ava }) => !ava.isWhole || ava.failures.length === 0)
  const blocks = [
    ...broken.map(({ name, text, ava }) => [
      `${name} did not end well`,
      ...(ava.troubles.length > 0 ? ava.troubles : text.trimEnd().split('\n').slice(-30)),
    ]),
    ...failed.flatMap(({ name, ava }) => ava.failures.map(({ lines }) => [name, ...lines])),
  ]
  const linesEach = Math.max(minLinesEach, Math.floor(maxLines / blocks.length))
  const shown = blocks.slice(0, Math.floor(maxLines / linesEach)).flatMap(lines => ['', ...lines.slice(0, linesEach)])
  console.log(['', 'failed:', ...titles.slice(0, maxLines), ...shown, ''].join('\n'))
}

/** Runs a command to its end, or until the time is over. What it prints is printed as it comes. */
async function execute(command: string, args: readonly string[], time?: number): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<number | null>()
  // Both streams are one, so that their lines keep their order; and the whole group ends with it.
  const child = spawn('sh', ['-c', 'exec "$@" 2>&1', 'sh', command, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: time !== undefined,
  })
  const timer = time === undefined ? undefined : setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), time)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    process.stdout.write(chunk)
  })
  child.once('close', resolve)
  const code = await promise
  clearTimeout(timer)
  return { text: stripVTControlCharacters(Buffer.concat(chunks).toString()), code }
}
