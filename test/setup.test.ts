/** What the process takes from the machine: randomness and priorities. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import test from 'ava'
import { randomBytes } from '../src/system.ts'
import { createFolder, deployment, startProcess } from './_process.ts'

test('random bytes have the size that is asked for and are never given out twice', t => {
  const sizes = [16, 20, 12, 32, 4095, 1, 4096, 5000, 57]
  const given = Array.from({ length: 2000 }, (_, i) => randomBytes(sizes[i % sizes.length] ?? 0))
  for (const [i, bytes] of given.entries()) t.true(bytes.length === sizes[i % sizes.length])
  const words = given
    .filter(bytes => bytes.length >= 12)
    .flatMap(bytes =>
      Array.from({ length: Math.floor(bytes.length / 12) }, (_, i) => bytes.toString('hex', 12 * i, 12 * i + 12)),
    )
  t.is(new Set(words).size, words.length)
})

test('a password hash gives way to everything else: the threads that hash have a lower priority', async t => {
  if (!existsSync('/proc/self/task')) return t.pass('only Linux has priorities for each thread')
  const server = await startProcess(t, deployment(createFolder(t)))
  const tasks = `/proc/${server.child.pid}/task`
  const threads = readdirSync(tasks).map(id => {
    // The second field is the name in parentheses and may have spaces; priority "nice" is the 19th.
    const [, name, rest] = /\((.*)\) (.*)/s.exec(readFileSync(`${tasks}/${id}/stat`, 'utf8'))!
    return { name: name!, nice: Number(rest!.split(' ')[16]) }
  })
  const usual = threads.find(({ name }) => !name.startsWith('libuv-worker'))!.nice
  const pool = threads.filter(({ name }) => name.startsWith('libuv-worker'))
  t.true(pool.length >= 2)
  for (const { nice } of pool) t.is(nice, Math.max(usual, constants.priority.PRIORITY_BELOW_NORMAL))
  for (const { name, nice } of threads) if (!name.startsWith('libuv-worker')) t.is(nice, usual)
})
