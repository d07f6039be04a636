/** `latchkey mail test`, and what the doctor says of mails. */
import test from 'ava'
import { examineMail } from '../../src/cli/doctor_mail.ts'
import { createMail } from '../../src/mail/mail.ts'
import { now } from '../../src/system.ts'
import { createFolder, freePort, migratedDeployment, runCommand } from '../_process.ts'
import { startServer } from '../_server.ts'
import { startSmtp } from '../_smtp.ts'

test('mail test sends one mail, or says what went wrong and what to do; the password is in nothing of it', async t => {
  const auth = { user: 'accounts@example.com', password: 'p@ss:word' }
  const smtp = await startSmtp(t, { auth })
  const environment = (url: string) =>
    migratedDeployment(createFolder(t), {
      LATCHKEY_SMTP_URL: url,
      LATCHKEY_MAIL_FROM: 'accounts@example.com',
      LATCHKEY_BRAND_NAME: 'Example',
      LATCHKEY_ISSUER: 'https://auth.example.com',
    })
  const send = (url: string, ...args: string[]) => runCommand(['mail', 'test', ...args], environment(url))
  const sent = await send(smtp.url, 'you@example.com', '--language', 'ko')
  t.is(sent.code, 0, sent.stderr)
  t.like(smtp.received[0], { to: ['you@example.com'], subject: 'Example 테스트 메일' })
  t.is(smtp.received[0]!.headers.get('from'), 'Example <accounts@example.com>')

  const wrong = await send(smtp.url.replace('word@', 'w0rd@'), 'you@example.com')
  t.is(wrong.code, 1)
  t.regex(wrong.stderr, /it does not take the user and password \(535\).*\n.*LATCHKEY_SMTP_URL/)
  t.notRegex(wrong.stdout + wrong.stderr, /w0rd|p%40ss|p@ss/)
  t.is((await send(smtp.url, 'you@example.com,evil@e.com')).code, 2)
  const off = await runCommand(['mail', 'test', 'you@example.com'], migratedDeployment(createFolder(t)))
  t.is(off.code, 2)
  t.regex(off.stderr, /LATCHKEY_SMTP_URL is not set/)
})

test('the doctor says whether the server takes mails, without sending one, and which wait', async t => {
  const server = await startServer(t)
  const { storage, randomBytes } = server.deps
  const examine = async (port: number | undefined) => {
    const smtp = { host: '127.0.0.1', port: port ?? 0, tls: 'optional' } as const
    const mail = port === undefined ? undefined : { smtp, from: { address: 'accounts@example.com' } }
    return (await examineMail({ mail }, storage)).map(({ check, state, found }) => `${check} ${state}: ${found}`)
  }
  t.deepEqual(await examine(undefined), [])
  const smtp = await startSmtp(t)
  t.deepEqual(await examine(smtp.port), [
    `mail server ok: smtp://127.0.0.1:${smtp.port} answers on this machine`,
    'mails ok: 0 wait',
  ])
  const at = now() - 3600
  await storage.addMail(createMail('invitation', { address: 'you@example.com' }, { now: () => at, randomBytes }))
  t.regex((await examine(undefined)).join(), /^mails warning: 1 wait, and LATCHKEY_SMTP_URL is not set$/)
  const port = await freePort()
  const [away, waiting] = await examine(port)
  t.is(away, `mail server failed: smtp://127.0.0.1:${port}: it cannot be reached: ECONNREFUSED`)
  t.regex(waiting!, /^mails warning: 1 waits, the oldest since /)
  t.is(smtp.received.length, 0)
})
