/** What mails say, in both languages: the same in both parts, no secret where none belongs, and no links but ours. */
import test from 'ava'
import fc from 'fast-check'
import { hasLink } from '../../src/mail/link.ts'
import { mailPurposes, notices } from '../../src/mail/mail.ts'
import { composeMail, composeTestMail, type MailGiven, maskedEmail, plainName } from '../../src/mail/mails.ts'
import { brandColors, latchkey } from '../../src/pages/brand.ts'
import { languages } from '../../src/pages/language.ts'
import { issuer, startTime } from '../_server.ts'

const sender = { brand: { ...latchkey, name: 'Example & Sons' }, issuer }
const about = {
  at: `${startTime}`,
  network: '203.0.113.0/24',
  device: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  email: 'new.alice@example.org',
  former_username: 'alice',
  factor: 'passkey',
  change: 'added',
}
const withCode = ['password_reset', 'email_verification', 'email_change', 'sign_up']
/** They go to an address that nobody has proved. */
const unproved = ['email_verification', 'email_change', 'sign_up', 'invitation']

function given(purpose: MailGiven['mail']['purpose'], language: MailGiven['language'], more: Partial<MailGiven> = {}) {
  return {
    mail: { purpose, about, createdAt: startTime },
    language,
    username: 'alice.b',
    app: 'Example for Android',
    ...(hasLink(purpose) && { link: `${issuer}/mail/${purpose}?token=lkm_abc-_1` }),
    ...(withCode.includes(purpose) && { code: '01234567' }),
    ...more,
  }
}

/** What a person reads of HTML. */
function wordsOf(html: string): string {
  const text = html
    .replace(/<(?:head|style)>[\s\S]*?<\/(?:head|style)>|<[^>]+>/g, ' ')
    .replaceAll('&amp;', '&')
    .replaceAll('&#34;', '"')
    .replaceAll('&#39;', "'")
  return text.replace(/\s+/g, ' ').trim()
}

const linksIn = (text: string) => text.match(/\b[a-z]+:\/\/[^\s"<]+/g) ?? []

for (const language of languages) {
  test(`every mail in ${language} says the same in both parts, leads to the issuer alone, and has a code where one is typed`, t => {
    const subjects = new Set<string>()
    for (const purpose of mailPurposes) {
      const { subject, text, html } = composeMail(sender, given(purpose, language))
      subjects.add(subject)
      t.regex(subject, /^[^\r\n]{5,80}$/, purpose)
      t.true(subject.includes('Example & Sons'), purpose)
      const words = wordsOf(html)
      for (const line of text.split('\n'))
        if (line !== '' && line !== '-- ' && !/^https?:/.test(line))
          t.true(words.includes(line.replace(/^(\S+): (?=.)/, '$1 ').replace(/:$/, '')), line)
      const links = linksIn(text)
      t.true(links.length >= 2 || purpose === 'invitation')
      for (const link of [...links, ...linksIn(html)]) t.true(link.startsWith(issuer), `${purpose} ${link}`)
      t.is(text.includes('01234567'), withCode.includes(purpose), purpose)
      t.is(text.includes('token='), hasLink(purpose), purpose)
      t.is(words.includes('alice.b'), !unproved.includes(purpose), purpose)
      // Nothing is fetched, and nothing runs.
      t.notRegex(html, /<img|<script|<link|@import|url\(|undefined|\[object/, purpose)
      t.notRegex(text, /undefined|\[object|new\.alice/, purpose)
      t.regex(html, new RegExp(`<html lang="${language}">`))
    }
    t.is(subjects.size, mailPurposes.length)
  })

  test(`notices in ${language} say when, where and by what, and what to do if it was somebody else; never a token`, t => {
    for (const purpose of notices) {
      const { text } = composeMail(sender, given(purpose, language))
      t.true(text.includes('203.0.113.0/24'), purpose)
      t.true(text.includes('Firefox'), purpose)
      t.true(
        text.includes(language === 'ko' ? '2027년 1월 15일 17:00 (한국 시간)' : '15 January 2027 at 08:00 UTC'),
        purpose,
      )
      t.regex(text, language === 'ko' ? /비밀번호를? 바꾸|비밀번호를 바꿔/ : /change your password/, purpose)
      t.notRegex(text, /lkm_|\b\d{8}\b/, purpose)
      // What is not known is left out.
      const bare = composeMail(
        sender,
        given(purpose, language, { mail: { purpose, createdAt: startTime }, app: undefined }),
      )
      t.notRegex(bare.text, /undefined|: \n|Device|기기:/, purpose)
    }
  })
}

test('what was added and what was taken away are told apart, for each kind of factor', t => {
  const subjects = ['totp', 'passkey', 'recovery_codes', 'other'].flatMap(factor =>
    ['added', 'removed'].flatMap(change =>
      languages.map(language => {
        const mail = { purpose: 'factor_changed', about: { factor, change }, createdAt: startTime } as const
        return composeMail(sender, given('factor_changed', language, { mail })).text
      }),
    ),
  )
  t.is(new Set(subjects).size, 16)
})

test('property: whatever a person or a program calls itself, a mail has no link but ours, no markup and no line of its own', t => {
  const piece = fc.constantFrom(
    ...[
      'evil.com',
      'http://evil.com',
      'https://evil.com/x',
      'www.evil.com',
      '//evil.com',
      'mailto:a@evil.com',
      'tel:+1',
      'javascript:x',
    ],
    ...[
      '<b>',
      '</td>',
      '"',
      "'",
      '&amp;',
      '\r\n',
      '\n\n',
      '\u202e',
      '\u200b',
      '\0',
      ' ',
      ' ',
      '이름',
      'win',
      '\u2028',
      '/',
      '\\',
    ],
  )
  const name = fc.array(piece, { maxLength: 12 }).map(pieces => pieces.join(''))
  fc.assert(
    fc.property(name, name, name, name, (username, device, app, former) => {
      for (const purpose of ['new_device', 'username_changed', 'refresh_token_reused'] as const) {
        const mail = {
          purpose,
          about: { device, former_username: former, network: device, email: device },
          createdAt: startTime,
        }
        const { subject, text, html } = composeMail(sender, given(purpose, 'en', { mail, username, app }))
        t.deepEqual(
          linksIn(text).filter(link => !link.startsWith(issuer)),
          [],
        )
        t.deepEqual(
          linksIn(html).filter(link => !link.startsWith(issuer)),
          [],
        )
        t.notRegex(text, /[\0\r\u202e\u200b\u2028]/)
        t.notRegex(text, /www\.evil|mailto:|tel:/)
        t.notRegex(html, /<b>/)
        t.notRegex(subject, /[\r\n]/)
        t.is(html.match(/<\/td>/g)!.length, html.match(/<td/g)!.length)
      }
    }),
    { numRuns: 300 },
  )
})

test('a name is short and has no address of a page; one word may have dots; of an address the owner sees enough', t => {
  t.is(plainName('alice.b'), 'alice.b')
  t.is(plainName('김 영희'), '김 영희')
  t.is(plainName('Win a prize at evil.com/x now'), 'Win a prize at now')
  t.is(plainName('go to evil.com'), 'go to')
  t.is(plainName('https://evil.com'), undefined)
  t.is(plainName('\u202e\u200b '), undefined)
  t.is(plainName('x'.repeat(300))!.length, 48)
  t.is(maskedEmail('alice@example.com'), 'a***@example.com')
  t.is(maskedEmail('@'), '***')
})

test('the name, the colours and the logo are the operator’s; without a name it is the host of the issuer', t => {
  const logo = { file: 'logo.abc.png', type: 'image/png', bytes: new Uint8Array(), width: 800, height: 200 } as const
  const brand = { ...latchkey, name: 'Example', url: 'https://www.example.com/', ...brandColors('#d9480f'), logo }
  const below = { brand, issuer: 'https://example.com/auth' }
  const { html, text } = composeTestMail(below, 'en')
  t.true(html.includes('<img src="https://example.com/auth/assets/logo.abc.png" alt="Example" width="160" height="40"'))
  t.true(text.endsWith('https://www.example.com/\n'))
  t.regex(composeMail(below, given('invitation', 'en')).html, /bgcolor="#d9480f"/)
  // Few mail programs show one.
  t.false(
    composeTestMail({ ...below, brand: { ...brand, logo: { ...logo, type: 'image/svg+xml' } } }, 'en').html.includes(
      '<img',
    ),
  )
  t.regex(composeTestMail({ brand: latchkey, issuer }, 'ko').subject, /auth\.example\.com/)
})
