/** A file of many users goes in and comes out again in a time that an operator waits for. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import bcrypt from 'bcrypt'
import { createFolder, migratedDeployment, runCommand } from '../_process.ts'

test('100,000 users are imported in less than 30 s, and exported again', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder, { LATCHKEY_BOOTSTRAP: 'off' })
  const file = join(folder, 'users')
  const hashed_password = await bcrypt.hash('secret', 4)
  const count = 100_000
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify({ username: `user${i}`, email: `user${i}@example.com`, hashed_password }),
  )
  writeFileSync(file, lines.join('\n'))

  const began = performance.now()
  const { code, stdout, stderr } = await runCommand(['user', 'import', file, '--json'], environment)
  const seconds = (performance.now() - began) / 1000
  t.deepEqual([code, stderr, JSON.parse(stdout).imported], [0, '', count])
  t.log(`${seconds.toFixed(1)} s`)
  t.true(seconds < 30, `${seconds} s`)

  const exported = (await runCommand(['user', 'export'], environment)).stdout
  const names = new Set(exported.split('\n', count).map(line => JSON.parse(line).username as string))
  t.deepEqual([names.size, names.has('user0'), names.has('user99999')], [count, true, true])
})
