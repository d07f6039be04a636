/** The commands that README and documentation teach end when they are told to, and leave nothing behind: no process, port or journal. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { createFolder, deployment, launcher, root, run, startProcess } from '../_process.ts'

const testProcess = process.platform === 'linux' ? test.serial : test.skip

/** Starts a command in a process group of its own and waits until its server listens, however the line looks. */
async function start(t: ExecutionContext, command: string, cwd = root) {
  const folder = createFolder(t)
  const [file = '', ...args] = command.split(' ')
  const environment = deployment(folder, { npm_config_cache: process.env.npm_config_cache ?? join(folder, 'npm') })
  const child = spawn(file, args, { env: environment, cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const group = -child.pid!
  t.teardown(() => isAlive(group) && process.kill(group, 'SIGKILL'))
  const exited = once(child, 'exit') as Promise<[number | null]>
  let output = ''
  const ready = new Promise<number>(resolve => {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', chunk => {
        output += chunk
        const url = /listening/.test(output) && /"?url"?: ?"http:\/\/127\.0\.0\.1:(\d+)"/.exec(output)
        if (url) resolve(Number(url[1]))
      })
  })
  const port = await Promise.race([
    ready,
    exited.then(() => {
      throw new Error(`${command} ended: ${output}`)
    }),
  ])
  return { folder, child, group, port, exited, output: () => output }
}

function isAlive(group: number): boolean {
  try {
    return process.kill(group, 0)
  } catch {
    return false
  }
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isOpen
}

for (const [command, signal, whom] of [
  ['npm start', 'SIGTERM', 'npm alone'],
  ['npm start', 'SIGINT', 'all of the terminal'],
  ['npm start', 'SIGHUP', 'all of the terminal'],
  ['npm start', 'SIGKILL', 'npm alone'],
  ['npm run dev', 'SIGTERM', 'npm alone'],
  ['npm run dev', 'SIGINT', 'all of the terminal'],
  ['npm run dev', 'SIGHUP', 'npm alone'],
  ['npx latchkey serve', 'SIGTERM', 'npm alone'],
  ['npx latchkey serve', 'SIGINT', 'all of the terminal'],
  ['npx latchkey serve', 'SIGHUP', 'all of the terminal'],
] as const) {
  testProcess(
    `${signal} to ${whom} ends ${command}: no process is left, the port is free, the database closed`,
    async t => {
      const { folder, child, group, port, exited, output } = await start(t, command)

      process.kill(whom === 'npm alone' ? child.pid! : group, signal)
      await exited
      while (isAlive(group)) await delay(50)

      t.false(await isOpen(port))
      t.true(existsSync(join(folder, 'data/latchkey.db')))
      t.false(existsSync(join(folder, 'data/latchkey.db-wal')))
      t.regex(output(), /stopped/)
    },
  )
}

/** A folder in which the packed package is installed, as npm does it; its dependencies are those of this checkout. */
async function install(t: ExecutionContext): Promise<string> {
  const folder = createFolder(t)
  const environment = { ...(process.env as Record<string, string>), HOME: folder }
  const packed = await run('npm', ['pack', '--silent', '--pack-destination', folder], environment)
  t.is(packed.code, 0, packed.stderr)
  const archive = join(folder, packed.stdout.trim().split('\n').at(-1)!)
  t.is((await run('tar', ['xzf', archive, '-C', folder], environment)).code, 0)
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  renameSync(join(folder, 'package'), join(modules, 'latchkey'))
  symlinkSync(join(root, 'node_modules'), join(modules, 'latchkey/node_modules'))
  symlinkSync('../latchkey/bin/latchkey.js', join(modules, '.bin/latchkey'))
  writeFileSync(join(folder, 'package.json'), '{"name": "somewhere", "private": true}')
  return folder
}

testProcess(
  'SIGTERM ends the installed binary, and npx where it is installed: no process is left, the port is free',
  async t => {
    const installed = await install(t)
    for (const command of [join(installed, 'node_modules/.bin/latchkey serve'), 'npx --no latchkey serve']) {
      const { folder, child, group, port, exited, output } = await start(t, command, installed)
      process.kill(child.pid!, 'SIGTERM')
      await exited
      while (isAlive(group)) await delay(50)
      t.false(await isOpen(port), command)
      t.false(existsSync(join(folder, 'data/latchkey.db-wal')), command)
      t.regex(output(), /stopped/, command)
    }
  },
)

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  testProcess(`${signal} ends latchkey serve with 0, also when it comes twice at once`, async t => {
    const server = await startProcess(t, deployment(createFolder(t)))
    process.kill(server.child.pid!, signal)
    t.is(await server.stop(signal), 0)
    t.is(server.log.at(-1)?.msg, 'stopped')
    t.is(server.log.filter(({ msg }) => msg === 'stopping').length, 1)
  })
}

testProcess('a second signal cuts off clients that keep the server from ending, and nothing else', async t => {
  const folder = createFolder(t)
  const server = await startProcess(t, deployment(folder))
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write('POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\na')
  await (await fetch(`${server.url}/health/live`)).text()

  process.kill(server.child.pid!, 'SIGTERM')
  await delay(1500)
  t.is(server.child.exitCode, null)
  const began = performance.now()
  t.is(await server.stop('SIGTERM'), 0)

  t.true(performance.now() - began < 7000)
  t.is(server.log.at(-1)?.msg, 'stopped')
  t.false(existsSync(join(folder, 'data/latchkey.db-wal')))
})

testProcess('latchkey serve that a shell left behind on purpose goes on', async t => {
  const folder = createFolder(t)
  const command = `"${process.execPath}" "${launcher}" serve & sleep 1`
  const shell = await startProcess(t, deployment(folder), ['sh', '-c', command])
  // A server that starts slowly is ready after that.
  if (shell.child.exitCode === null) await once(shell.child, 'exit')
  await delay(1500)
  t.is((await fetch(`${shell.url}/health/ready`)).status, 200)
  process.kill(-shell.child.pid!, 'SIGKILL')
})
