/**
 * What the time of an answer about a forgotten password tells: nothing about who has an account. Samples of all kinds interleaved in random
 * order, then Welch's t, as in `timing.test.ts`. Promise 7.
 */
import test, { type ExecutionContext } from 'ava'
import type { Storage } from '../../src/storage/storage.ts'
import { startServerWithAlice } from '../_server.ts'
import { openTestStorage } from '../_storages.ts'
import { compare, type Samples, shuffled, toldApart } from '../_timing.ts'

const kinds = {
  'a user by username': 'alice',
  'a user by address': 'alice@example.com',
  'nobody by username': 'nobody',
  'nobody by address': 'nobody@example.com',
  'a user without an address': 'addressless',
  'a disabled user': 'disabled',
}
type Kind = keyof typeof kinds
const names = Object.keys(kinds) as Kind[]

async function start(t: ExecutionContext, storage?: Storage, throttled = false) {
  t.timeout(240_000)
  const server = await startServerWithAlice(t, {
    oauth: { hasMail: true },
    throttle: { enabled: throttled },
    ...(storage && { storage }),
  })
  await server.addUser({ username: 'addressless' })
  await server.addUser({ username: 'disabled', email: 'disabled@example.com', disabledAt: server.clock.now() })
  const ask = (kind: Kind) => server.post('/password-reset', { client_id: 'app', username: kinds[kind] })
  return { ...server, ask }
}

/** @param prepare what is done before, and not timed. @param run answers the status */
async function time<T>(
  t: ExecutionContext,
  rounds: number,
  expected: number,
  prepare: (kind: Kind) => Promise<T>,
  run: (kind: Kind, prepared: T) => Promise<{ status: number }>,
) {
  const samples: Samples = Object.fromEntries(names.map(kind => [kind, []]))
  for (let round = -5; round < rounds; round++) {
    for (const kind of shuffled(names)) {
      const prepared = await prepare(kind)
      const began = performance.now()
      const { status } = await run(kind, prepared)
      const elapsed = performance.now() - began
      t.is(status, expected)
      if (round >= 0) samples[kind]!.push(elapsed)
    }
  }
  return compare(samples)
}

const nothing = async () => undefined

function areAlike(t: ExecutionContext, told: Record<string, number>): void {
  t.log(told)
  for (const [kind, value] of Object.entries(told)) t.true(value < toldApart, `${kind}: ${value}`)
}

test.serial(
  'promise 7: who asks for a mail learns nothing by time, whether there is a user, an address, or a name for it',
  async t => {
    const server = await start(t)
    areAlike(t, await time(t, 200, 200, nothing, server.ask))
  },
)

test.serial('promise 7: nor who asks too often', async t => {
  const server = await start(t, undefined, true)
  for (const kind of names) t.is((await server.ask(kind)).status, 200)
  areAlike(t, await time(t, 200, 429, nothing, server.ask))
})

test.serial('promise 7: nor who guesses a code', async t => {
  const server = await start(t)
  const guess = (_kind: Kind, auth_session: string) =>
    server.post('/password-reset/confirm', {
      client_id: 'app',
      auth_session,
      code: '12345678',
      new_password: 'seven lamps over the harbour',
    })
  areAlike(t, await time(t, 150, 400, async kind => (await server.ask(kind)).body.auth_session as string, guess))
})

test.serial('the test can fail: a server that makes the mail while somebody waits is told apart', async t => {
  const storage = await openTestStorage(t)
  const addMail: Storage['addMail'] = async (mail, ...more) => {
    const began = performance.now()
    while (mail.userId !== undefined && performance.now() - began < 2);
    return storage.addMail(mail, ...more)
  }
  const server = await start(t, { ...storage, addMail })
  const told = await time(t, 60, 200, nothing, server.ask)
  t.log(told)
  t.true(told['nobody by username']! > toldApart)
  t.true(told['a user by address']! < toldApart)
})
