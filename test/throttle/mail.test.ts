/** How many mails strangers can cause: `src/throttle/mail_guard.ts`. */
import test from 'ava'
import { OAuthError } from '../../src/error.ts'
import { startServer, type TestServer } from '../_server.ts'

const at = (ip: string) => ({ ip, requestId: 'r' })

/** @returns how many of so many a name and a network got, asked for once in so many seconds */
async function askedFor(
  { deps: { throttle }, clock }: Pick<TestServer, 'deps' | 'clock'>,
  times: number,
  seconds: number,
  who: (n: number) => readonly [name: string, ip: string],
): Promise<number> {
  let sent = 0
  for (let n = 0; n < times; n++) {
    const [name, ip] = who(n)
    try {
      await throttle.mail(name, at(ip))
      sent++
    } catch (error) {
      if (!(error instanceof OAuthError) || error.code !== 'too_many_attempts') throw error
    }
    clock.advance(seconds)
  }
  return sent
}

test('one name gets a mail a minute at most, and five in an hour, from whatever network and in whatever spelling', async t => {
  const server = await startServer(t)
  await server.deps.throttle.mail('Alice', at('192.0.2.1'))
  const error = await t.throwsAsync(server.deps.throttle.mail('ALICE', at('198.51.100.1')), { instanceOf: OAuthError })
  t.is(error?.retryAfter, 60)
  t.true((await askedFor(server, 60, 60, n => ['alice', `192.0.${n}.1`])) <= 5)
  await server.deps.throttle.mail('bob', at('192.0.2.1'))
})

test('one network causes twenty mails an hour at most, whoever they are for; another one is not held up', async t => {
  const server = await startServer(t)
  const sent = await askedFor(server, 120, 30, n => [`user${n}`, '192.0.2.1'])
  t.true(sent >= 15 && sent <= 20, `${sent}`)
  await server.deps.throttle.mail('somebody', at('192.0.2.2'))
})
