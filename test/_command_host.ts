/**
 * The process in which `runCommand` of _process.ts runs one `latchkey` command after the other. The source is loaded once, which
 * is nearly all of what a command costs; the command line is evaluated anew for each, with its own arguments, environment and
 * streams.
 */
import { Readable, Writable } from 'node:stream'
import { type CliResult, type Environment, launcher } from './_process.ts'

export type CommandRequest = Readonly<{ id: number; args: readonly string[]; environment: Environment; stdin: string }>
export type CommandAnswer = CliResult & Readonly<{ id: number }>

async function runHere({ id, args, environment, stdin }: CommandRequest): Promise<CommandAnswer> {
  const written = { stdout: '', stderr: '' }
  const collect = (name: keyof typeof written) =>
    new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        written[name] += chunk
        done()
      },
    })
  const streams = { stdin: Readable.from([stdin]), stdout: collect('stdout'), stderr: collect('stderr') }
  for (const [name, value] of Object.entries(streams))
    Object.defineProperty(process, name, { value, configurable: true })
  process.argv = [process.execPath, launcher, ...args]
  process.env = { ...environment }
  process.exitCode = undefined
  await import(`../src/cli.ts?command=${id}`)
  const code = Number(process.exitCode ?? 0)
  process.exitCode = undefined
  return { id, code, ...written }
}

let last: Promise<unknown> = Promise.resolve()

process.on('message', (request: CommandRequest) => {
  last = last.then(async () => process.send!(await runHere(request)))
})
process.on('disconnect', () => process.exit())
