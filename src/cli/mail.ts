/** `latchkey mail`: whether mails arrive. */
import { Command } from 'commander'
import { openBrand } from '../brand.ts'
import { formatSmtpServer, smtpAdvice } from '../mail/smtp_server.ts'
import { type Language, languages } from '../pages/language.ts'
import { readEmail } from '../users/email.ts'
import { issuerOf, output, UsageError, withAdmin } from './run.ts'

export function mailCommand(): Command {
  const mail = new Command('mail').description('see whether mails arrive')
  mail
    .command('test <address>')
    .description('send one mail, now and not by the server, and say what went wrong')
    .option('--language <language>', `of the mail: ${languages.join(', ')}; LATCHKEY_MAIL_LANGUAGE unless given`)
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nThe settings are LATCHKEY_SMTP_URL and LATCHKEY_MAIL_FROM; docs/mail.md says more.')
    .action(sendTestMail)
  return mail
}

async function sendTestMail(given: string, options: { language?: string; json?: true }): Promise<void> {
  const { text: address, problem } = readEmail(given)
  if (problem !== undefined) throw new UsageError(`the address ${problem}`)
  const wanted = languages.find(language => language === options.language)
  if (options.language !== undefined && wanted === undefined)
    throw new UsageError(`--language takes ${languages.join(', ')}`)
  await withAdmin(async (deps, config) => {
    const { mail: settings } = config
    if (settings === undefined) throw new UsageError('no mails are sent: LATCHKEY_SMTP_URL is not set')
    const [{ createSmtp }, { composeTestMail, senderNamed }] = await Promise.all([
      import('../mail/smtp.ts'),
      import('../mail/mails.ts'),
    ])
    const sender = { brand: openBrand(config.brand), issuer: await issuerOf(deps, config) }
    const server = formatSmtpServer(settings.smtp)
    const smtp = createSmtp({
      server: settings.smtp,
      from: { name: senderNamed(sender).brand.name, ...settings.from },
      issuer: sender.issuer,
    })
    const language: Language = wanted ?? config.oauth.mailLanguage
    const id = deps.randomBytes(16).toString('base64url')
    const sending = await smtp.send(
      { id, address, language, ...composeTestMail(sender, language) },
      new AbortController().signal,
    )
    smtp.close()
    if (sending.kind === 'failed' || sending.kind === 'refused') {
      const said = sending.reply === undefined ? '' : `; it said: ${sending.reply}`
      throw new Error(`${server}: ${sending.error}${said}\n${smtpAdvice(sending.error, settings.smtp)}`)
    }
    output(
      options.json ? { json: true } : {},
      { server, from: settings.from.address, to: address },
      `${server} has taken a mail from ${settings.from.address} to ${address}. Look whether it arrives, and whether among spam: docs/mail.md has what to do then`,
    )
  })
}
