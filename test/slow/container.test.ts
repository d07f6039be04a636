/**
 * The Dockerfile, whose base image is not to be had everywhere: its steps are followed by hand, and what comes out is run as a container
 * runs it, as process 1 of a root directory that cannot be written to, without any right of root. Needs root, on Linux.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { settings } from '../../src/config.ts'
import { createFolder, type Environment, freePort, postForm, root, run, startProcess } from '../_process.ts'

const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll(/^#.*\n/gm, '')
const [buildStage, lastStage] = dockerfile.split(/^FROM .*$/m).slice(1) as [string, string]

/** The first operand of each line with an instruction, such as `/data` of `VOLUME /data`. */
const instruction = (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(lastStage)![1]!
const list = (name: string): string[] => JSON.parse(/\[.*\]/.exec(instruction(name))![0])

/** @returns what the stage copies from the checkout, but for what it gets of the stage before */
function copied(stage: string): string[] {
  const lines = [...stage.matchAll(/^COPY ((?!--from).*) \S+$/gm)]
  return lines.flatMap(([, names]) => names!.split(' '))
}

const unshare = ['--pid', '--mount', '--fork', '--kill-child', '--mount-proc']
const canUnshare = process.platform === 'linux' && spawnSync('unshare', [...unshare, 'true']).status === 0
const testContainer = canUnshare ? test : test.skip

/** Builds `dist` from what the Dockerfile copies and nothing else, where nobody else builds. @returns the folder */
async function build(t: ExecutionContext): Promise<string> {
  const folder = createFolder(t)
  for (const name of copied(buildStage)) cpSync(join(root, name), join(folder, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const { code, stdout, stderr } = await run(
    'npm',
    ['run', 'build'],
    { PATH: process.env.PATH!, HOME: folder },
    '',
    folder,
  )
  t.is(code, 0, stdout + stderr)
  return folder
}

/** Lays out the root directory of the image: this machine's Node and its libraries in the place of the base image. */
async function layOut(t: ExecutionContext, built: string): Promise<string> {
  const image = createFolder(t)
  chmodSync(image, 0o755)
  const app = join(image, instruction('WORKDIR'))
  mkdirSync(app, { recursive: true })
  for (const name of copied(lastStage)) cpSync(join(root, name), join(app, name), { recursive: true })
  cpSync(join(built, 'dist'), join(app, 'dist'), { recursive: true })
  for (const folder of ['app/node_modules', 'proc', 'dev', 'tmp', 'usr/local/bin'])
    mkdirSync(join(image, folder), { recursive: true })
  const { stdout } = await run('ldd', [process.execPath], { PATH: process.env.PATH! })
  for (const [, library] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(join(image, dirname(library!)), { recursive: true })
    copyFileSync(library!, join(image, library!))
  }
  copyFileSync(process.execPath, join(image, 'usr/local/bin/node'))
  chmodSync(join(image, 'usr/local/bin/node'), 0o755)
  const data = join(image, instruction('VOLUME'))
  mkdirSync(data, { mode: 0o700 })
  spawnSync('chown', [instruction('USER'), data])
  return image
}

/** @returns the command that runs another one as a container would: process 1, no right, nothing to write to but the volume */
function contain(image: string, command: readonly string[]): string[] {
  const [uid, gid] = instruction('USER').split(':')
  const data = join(image, instruction('VOLUME'))
  const script = `set -e
    mount --bind "${image}" "${image}"
    mount --bind "${data}" "${data}"
    mount --bind "${join(root, 'node_modules')}" "${image}/app/node_modules"
    mount -t proc proc "${image}/proc"
    mount -o remount,bind,ro "${image}/app/node_modules"
    mount -o remount,bind,ro "${image}"
    cd "${image}"
    exec setpriv --no-new-privs \\
      unshare --root "${image}" --wd ${instruction('WORKDIR')} --setuid ${uid} --setgid ${gid} "$@"`
  return ['unshare', ...unshare, 'sh', '-c', script, 'sh', ...command]
}

/** What the image sets, on a port of loopback. */
function environmentOf(port: number): Environment {
  const lines = [...lastStage.matchAll(/^ENV (\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!])
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    LATCHKEY_ARGON2_MEMORY: '8',
    ...Object.fromEntries(lines),
    LATCHKEY_HOST: '127.0.0.1',
    LATCHKEY_PORT: `${port}`,
  }
}

testContainer(
  'the image serves as process 1, not as root, from a root directory that cannot be written to',
  async t => {
    t.timeout(240_000)
    const image = await layOut(t, await build(t))
    const environment = environmentOf(await freePort())
    const server = await startProcess(t, environment, contain(image, [...list('ENTRYPOINT'), ...list('CMD')]))
    const pid = Number(readFileSync(`/proc/${server.child.pid}/task/${server.child.pid}/children`, 'utf8'))
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)![1]!
    const [uid] = instruction('USER').split(':')
    t.is(field('NSpid').split('\t').at(-1), '1')
    t.deepEqual(field('Uid').split('\t'), [uid, uid, uid, uid])
    t.is(Number(field('CapEff')), 0)

    const volume = join(image, instruction('VOLUME'))
    const password = /this password:\n\n {2}(\S+)/.exec(readFileSync(join(volume, 'first-sign-in'), 'utf8'))![1]!
    const form = { grant_type: 'password', client_id: 'app', username: 'admin', password }
    t.is((await postForm(`${server.url}/token`, form)).status, 200)
    for (const path of ['/docs', '/redoc', '/login']) {
      const page = await fetch(`${server.url}${path}`, { headers: { accept: 'text/html' } })
      const files = [...(await page.text()).matchAll(/ (?:href|src)="([^"]+\.(?:css|js))"/g)].map(([, file]) => file!)
      t.true(files.length > 0)
      for (const file of files) t.is((await fetch(new URL(file, page.url))).status, 200, file)
    }
    const command = async (...args: string[]) => {
      const [program, ...rest] = contain(image, [...list('ENTRYPOINT'), ...args])
      return run(program!, rest, environment)
    }
    t.like(await command('user', 'list'), { code: 0 })
    t.like(await command('backup', '/data/copy.db'), { code: 0 })
    const refused = await command('backup', '/app/copy.db')
    t.not(refused.code, 0)
    t.regex(refused.stderr, /read-?only/i)

    const [, ...healthCheck] = list('HEALTHCHECK')
    const isHealthy = async () => (await run(process.execPath, healthCheck, environment)).code === 0
    t.true(await isHealthy())
    const ended = once(server.child, 'close')
    process.kill(pid, 'SIGTERM')
    t.deepEqual(await ended, [0, null])
    t.is(server.log.at(-1)?.msg, 'stopped')
    t.false(await isHealthy())
  },
)

test('the Dockerfile copies what there is, and .dockerignore lets that through and nothing else', t => {
  const rules = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
  t.is(rules[0], '*')
  const letThrough = rules.slice(1).map(rule => rule.replace(/^!/, ''))
  const used = [...new Set([...copied(buildStage), ...copied(lastStage)])]
  for (const name of used) t.true(existsSync(join(root, name)), name)
  t.deepEqual(letThrough.toSorted(), used.toSorted())
})

test('the Dockerfile starts what npm start starts, and sets settings that there are', t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.is(scripts.start, ['exec', ...list('ENTRYPOINT'), ...list('CMD')].join(' '))
  for (const [name] of dockerfile.matchAll(/LATCHKEY_\w+/g)) t.true(Object.hasOwn(settings, name), name)
})
