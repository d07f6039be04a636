/** `latchkey user invite`: what an operator sees. That the admin API does the same is in `test/http/admin/command_line.test.ts`. */
import test from 'ava'
import { createFolder, migratedDeployment, runCommand } from '../_process.ts'

test('user invite prints a link where no mail is set up, and mails it where it is; who has an account is refused', async t => {
  const environment = migratedDeployment(createFolder(t), { LATCHKEY_ISSUER: 'https://auth.example.com' })
  const mailing = { LATCHKEY_SMTP_URL: 'smtp://127.0.0.1:1', LATCHKEY_MAIL_FROM: 'accounts@example.com' }
  const invite = (args: string, more = {}) =>
    runCommand(['user', 'invite', ...args.split(' ')], { ...environment, ...more })
  const add = ['user', 'add', 'alice', '--email', 'alice@example.com', '--password-stdin']
  await runCommand(add, environment, 'seven lamps over the harbour')

  const [printed, mailed, asked] = await Promise.all([
    invite('bob@example.com --role staff --lifetime 1h'),
    invite('bob@example.com', mailing),
    invite('bob@example.com --print', mailing),
  ])
  const link =
    /^https:\/\/auth\.example\.com\/mail\/invitation\?token=lkm_[\w-]+\nis for bob@example\.com, once, until \S+Z\n$/
  t.regex(printed.stdout, link)
  t.regex(asked.stdout, link)
  t.regex(mailed.stdout, /^a mail to bob@example\.com is on its way; its link is good until \S+Z\n$/)

  const [known, lists, short, role] = await Promise.all([
    invite('ALICE@example.com'),
    invite('a@b.example,c@d.example'),
    invite('bob@example.com --lifetime 5m'),
    invite('bob@example.com --role a,b'),
  ])
  t.deepEqual([known.code, known.stdout], [1, ''])
  t.regex(known.stderr, /the address ALICE@example\.com has an account; latchkey user reset-link/)
  t.deepEqual([lists.code, short.code, role.code], [2, 2, 2])
  t.regex(short.stderr, /--lifetime 5m: it takes a duration from 1h to 30d/)
  t.regex(role.stderr, /--role/)
})
