/** Every state of the pages about the address of an account, each with one text in all places that take what people wrote. */
import { changeEmailPage, type EmailDoneState, emailDonePage, emailLinkPage, emailPage } from '../../src/pages/email.ts'
import type { Frame } from '../../src/pages/layout.ts'
import { texts } from '../../src/pages/texts.ts'

export function emailPages(frame: Frame, text: string): [string, string][] {
  const view = { username: text, email: text, isVerified: false, isMailable: true }
  const links = ['email_verification', 'email_change', 'email_change_notice'] as const
  const states = Object.keys(texts.en.emailDonePage).filter(state => state !== 'newPassword') as EmailDoneState[]
  return [
    ['email', emailPage(view, frame)],
    ['email, verified', emailPage({ ...view, isVerified: true }, frame)],
    ['email, none', emailPage({ ...view, email: undefined, isMailable: false }, frame)],
    ['email, later', emailPage({ ...view, problem: 'try_later', retryAfter: 30 }, frame)],
    ...([undefined, 'missing', 'invalid', 'same', 'try_later', 'too_many'] as const).map(
      (problem): [string, string] => [
        `change email, ${problem}`,
        changeEmailPage({ username: text, email: text, problem, retryAfter: 90 }, frame),
      ],
    ),
    ...links.map((purpose): [string, string] => [
      `link, ${purpose}`,
      emailLinkPage({ purpose, address: text, username: text }, frame),
    ]),
    ...states.map((state): [string, string] => [`link, ${state}`, emailDonePage(state, frame)]),
  ]
}
