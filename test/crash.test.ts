/** What was answered holds after the process is killed, at whatever moment. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { brokenPromises, createFleet, refusedRefreshes } from './_devices.ts'
import { createFolder, deployment, startProcess } from './_process.ts'

const crashes = 50

test(`promises 4 and 5: after each of ${crashes} kill -9 under load, logouts stay, sign-ins live, nobody is signed out`, async t => {
  t.timeout(180_000)
  const folder = createFolder(t)
  // A fixed issuer: by default it has the port, which is another one after each start.
  const issuer = 'https://auth.example.com'
  const environment = deployment(folder, {
    LATCHKEY_THROTTLE: 'off',
    LATCHKEY_LOG_LEVEL: 'info',
    LATCHKEY_ISSUER: issuer,
  })
  let server = await startProcess(t, environment)
  const fleet = createFleet(24, readAccount(folder))

  for (let crash = 0; crash < crashes; crash++) {
    // Between two answers, a different number of them each time, while the other devices' requests are under way.
    let answersLeft = 24 + ((crash * 37) % 101)
    const { child, url } = server
    await fleet.run(url, () => {
      if (--answersLeft === 0) process.kill(child.pid!, 'SIGKILL')
    })
    server = await startProcess(t, environment)

    t.deepEqual(await brokenPromises(server.url, fleet.promisedAt()), [], `after crash ${crash + 1}`)
    t.deepEqual(fleet.signedOut, [], `after crash ${crash + 1}`)
  }

  const { living, ended } = fleet.promisedAt()
  t.deepEqual(await refusedRefreshes(server.url, living), [])
  t.deepEqual(fleet.unavailable, [])
  t.true(living.length > 0 && ended.length > crashes, `${living.length} living, ${ended.length} ended`)
})

function readAccount(folder: string) {
  const text = readFileSync(join(folder, 'data/first-sign-in'), 'utf8')
  return { username: 'admin', password: /this password:\n\n {2}(\S+)\n/.exec(text)?.[1] ?? '' }
}
