/** Every state of the pages that links and codes of mails lead to, each with one text in all places that take what people wrote. */
import { type AskFactorView, askFactorPage } from '../../src/pages/ask_factor.ts'
import { type ForgotPasswordView, forgotPasswordPage } from '../../src/pages/forgot_password.ts'
import type { Frame } from '../../src/pages/layout.ts'
import { type MailCodeView, mailCodePage } from '../../src/pages/mail_code.ts'
import { mailLinkPage } from '../../src/pages/mail_link.ts'
import { type NewPasswordView, newPasswordPage, passwordSetPage } from '../../src/pages/new_password.ts'

export function mailPages(frame: Frame, text: string): [string, string][] {
  const { forgotPassword: again, forgotPasswordCode: action } = frame.paths
  const code: MailCodeView = { action, again, lede: text }
  const password: NewPasswordView = { username: text, shortest: 8, longest: 1024 }
  const forgotten: Record<string, ForgotPasswordView> = {
    '': {},
    ', empty': { problems: { username: 'missing' } },
    ', overlong': { username: text, problems: { username: 'too_long' } },
    ', later': { username: text, problems: { form: 'try_later' }, retryAfter: 1800 },
    ', later, no time': { username: text, problems: { form: 'try_later' } },
  }
  const chosen: Record<string, NewPasswordView['problems']> = {
    '': undefined,
    ', empty': { newPassword: 'missing', repeat: 'missing' },
    ', too short': { newPassword: 'too_short', repeat: 'different' },
    ', too common': { newPassword: 'too_common' },
    ', later': { form: 'try_later' },
    ', over': { form: 'over' },
  }
  const factor: AskFactorView = {
    ...{ purpose: 'password_reset', username: text, authSession: 'lka_x', choices: ['otp', 'recovery_code'] },
    asked: 'otp',
  }
  return [
    ['a broken link', mailLinkPage({ state: 'broken' }, frame)],
    ['a link that is over', mailLinkPage({ state: 'over', next: { path: again, label: text } }, frame)],
    ...(['missing', 'wrong', 'over', undefined] as const).map((problem): [string, string] => [
      `code of a mail, ${problem}`,
      mailCodePage({ ...code, problem }, frame),
    ]),
    ...Object.entries(forgotten).map(([state, view]): [string, string] => [
      `forgotten password${state}`,
      forgotPasswordPage(view, frame),
    ]),
    ...Object.entries(chosen).map(([state, problems]): [string, string] => [
      `new password${state}`,
      newPasswordPage({ ...password, problems, retryAfter: 30 }, frame),
    ]),
    ['the password is set', passwordSetPage(frame)],
    ['factor for a new password', askFactorPage(factor, frame)],
  ]
}
