/** AVA's shared worker of _postgres.ts: one PostgreSQL a run, started when the first test asks for it. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { SharedWorker } from 'ava/plugin'
import type { PostgresHost } from './_postgres_host.ts'

// biome-ignore lint/style/noDefaultExport: AVA asks for it
export default async function worker({ negotiateProtocol }: SharedWorker.FactoryOptions) {
  const protocol = negotiateProtocol<PostgresHost | 'start'>(['ava-4']).ready()
  let host: Promise<PostgresHost> | undefined
  for await (const message of protocol.subscribe()) {
    host ??= startHost()
    void host.then(answer => message.reply(answer))
  }
}

/** Exported for the test that its end is the end of the server. */
export async function startHost(): Promise<PostgresHost> {
  // In a process group of its own, so that what interrupts AVA leaves it the time to clean up. AVA's end closes its input.
  const child = spawn(process.execPath, [fileURLToPath(new URL('_postgres_host.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  child.unref()
  const { promise, resolve } = Promise.withResolvers<PostgresHost>()
  createInterface({ input: child.stdout }).once('line', line => resolve(JSON.parse(line)))
  child.once('error', error => resolve({ error: error.message }))
  child.once('exit', code => resolve({ error: `the embedded PostgreSQL ended with ${code}` }))
  return promise
}
