/** `npm run dev`: the server, started again when its source changes, with readable logs. A shell's pipe would not pass signals on. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { pipeline } from 'node:stream'
import pretty from 'pino-pretty'

const child = spawn(process.execPath, ['--watch-path=src', '--watch', 'bin/latchkey.js', 'serve'], {
  stdio: ['inherit', 'pipe', 'inherit'],
  // Nothing is behind a load balancer here, and each change of the source stops the server.
  env: { LATCHKEY_DRAIN: '0', ...process.env },
})
pipeline(child.stdout, pretty({ sync: true }), () => {})
// The watcher waits for the server at SIGTERM; it knows no SIGHUP.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGTERM'))
// Also when npm ends without a word.
const parent = process.ppid
setInterval(() => process.ppid === parent || child.kill('SIGTERM'), 1000).unref()
child.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal]
})
