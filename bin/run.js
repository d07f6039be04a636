// Runs the TypeScript source in a checkout and the built JavaScript in an installed package.
import { existsSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

// As many pool threads as password hashes may run at once: each thread that ever hashed keeps 19 MiB. Nothing that a request
// waits for runs in the pool but hashes. Never one alone, which a log file on a slow disk could hold. libuv reads this once, at the
// first use of the pool.
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(2, availableParallelism()))

const source = new URL('../src/cli.ts', import.meta.url)
// A checkout's TypeScript as JavaScript, from the second start on: 25 MiB and a third of a start less. In a folder of the checkout,
// not in a shared one: what is in it is run.
if (existsSync(source)) enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/latchkey', import.meta.url)))

await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href)
