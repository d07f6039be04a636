/** A mail server for one test: real SMTP on a free port of 127.0.0.1 that keeps what came, read. Goes with the test. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { TestContext } from './_server.ts'

export type ReceivedMail = Readonly<{
  /** The envelope, RFC 5321 §2.3.1. */
  from: string
  to: readonly string[]
  /** By their names in lower case; unfolded, RFC 2047 decoded. */
  headers: ReadonlyMap<string, string>
  subject: string
  text: string
  html: string
  /** The first address in the text that carries a token. */
  link: string | undefined
  /** Eight digits that stand alone in a line of the text. */
  code: string | undefined
  /** As it came. */
  source: string
}>

/** What becomes of a mail or a connection; a number is the status of a refusal, RFC 5321 §4.2. */
export type SmtpBehaviour = {
  /** Refuses a recipient; undefined for taking it. */
  refuse: (address: string) => number | undefined
  /** Refuses a whole mail after it has come. */
  refuseData: () => number | undefined
  /** Connections get no greeting. */
  isSilent: boolean
  /** Awaited before the answer to a whole mail. */
  hold: () => Promise<unknown>
}

export type SmtpOptions = Partial<{
  /** Who has to sign in; nobody needs to unless told otherwise. */
  auth: { user: string; password: string }
  /** `none` unless told otherwise. */
  tls: 'none' | 'starttls' | 'implicit'
  /** PEM, in the place of a certificate that nobody trusts. */
  key: string
  cert: string
  port: number
}>

export async function startSmtp(t: TestContext, options: SmtpOptions = {}) {
  const { auth, tls = 'none', key, cert, port = 0 } = options
  const received: ReceivedMail[] = []
  const connections = { count: 0 }
  /** For tests to change; `{ ...taking }` is a server that takes everything. */
  const behaviour: SmtpBehaviour = { ...taking }
  let waiting: { count: number; resolve: () => void }[] = []
  const handlers: SMTPServerOptions = {
    onConnect(_session, callback) {
      connections.count++
      if (!behaviour.isSilent) callback()
    },
    onAuth({ username, password }, _session, callback) {
      if (username === auth?.user && password === auth?.password) callback(null, { user: username })
      else callback(refusalOf(535, 'authentication failed'))
    },
    onRcptTo({ address }, _session, callback) {
      const status = behaviour.refuse(address)
      callback(status === undefined ? null : refusalOf(status, 'not this one'))
    },
    async onData(stream, { envelope }, callback) {
      const source = (await buffer(stream)).toString('latin1')
      await behaviour.hold()
      const status = behaviour.refuseData()
      if (status !== undefined) return callback(refusalOf(status, 'not this mail'))
      received.push({
        ...readMail(source),
        from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
        to: envelope.rcptTo.map(({ address }) => address),
      })
      for (const { count, resolve } of waiting) if (received.length >= count) resolve()
      waiting = waiting.filter(({ count }) => received.length < count)
      callback(null)
    },
  }
  const server = new SMTPServer({
    ...handlers,
    secure: tls === 'implicit',
    disabledCommands: [...(auth ? [] : ['AUTH']), ...(tls === 'none' ? ['STARTTLS'] : [])],
    disableReverseLookup: true,
    // It warns else that everybody has the key of its own certificate.
    logger: false,
    closeTimeout: 100,
    ...(key && cert && { key, cert }),
  })
  // A client that breaks off is no trouble of the server.
  server.on('error', () => {})
  const listener = server.listen(port, '127.0.0.1')
  await once(listener, 'listening')
  const stop = () => new Promise<void>(resolve => (listener.listening ? server.close(() => resolve()) : resolve()))
  t.teardown(stop)
  const bound = (listener.address() as AddressInfo).port
  const credentials = auth ? `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.password)}@` : ''
  return {
    port: bound,
    /** For `LATCHKEY_SMTP_URL`. */
    url: `${tls === 'implicit' ? 'smtps' : 'smtp'}://${credentials}127.0.0.1:${bound}`,
    received,
    /** Connections that were made so far. */
    connections,
    behaviour,
    /** Waits until so many mails have come in all. @returns the last of them */
    async mail(count = received.length + 1): Promise<ReceivedMail> {
      if (received.length < count) await new Promise<void>(resolve => waiting.push({ count, resolve }))
      return received[count - 1]!
    },
    /** Ends it, with all its connections; another one may be started on its port. */
    stop,
  }
}

export type TestSmtp = Awaited<ReturnType<typeof startSmtp>>

const taking: SmtpBehaviour = {
  refuse: () => undefined,
  refuseData: () => undefined,
  isSilent: false,
  hold: async () => {},
}

function refusalOf(status: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode: status })
}

/** RFC 5322, and as much of RFC 2045 to 2047 as mails of a text and an HTML part need. */
export function readMail(source: string): Omit<ReceivedMail, 'from' | 'to'> {
  const { headers, body } = splitPart(source)
  const parts = new Map<string, string>()
  const boundary = /boundary="?([^";]+)/.exec(headers.get('content-type') ?? '')?.[1]
  const bodies = boundary === undefined ? [source] : body.split(`--${boundary}`).slice(1, -1)
  for (const text of bodies) {
    const part = splitPart(text.replace(/^\r?\n|\r?\n$/g, ''))
    const type = /^[\w/-]+/.exec(part.headers.get('content-type') ?? 'text/plain')![0]
    parts.set(type, decodeBody(part))
  }
  const text = parts.get('text/plain') ?? ''
  return {
    headers,
    subject: headers.get('subject') ?? '',
    text,
    html: parts.get('text/html') ?? '',
    link: /https?:\/\/\S+[?&]token=[\w-]+/.exec(text)?.[0],
    code: /^\s*(\d{8})\s*$/m.exec(text)?.[1],
    source,
  }
}

function splitPart(source: string) {
  const [head = '', ...rest] = source.split(/\r?\n\r?\n/)
  const lines = head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)
  const headers = new Map(
    lines.map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), decodeWords(line.slice(colon + 1).trim())] as const
    }),
  )
  return { headers, body: rest.join('\r\n\r\n') }
}

function decodeBody({ headers, body }: ReturnType<typeof splitPart>): string {
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase()
  const bytes =
    encoding === 'base64'
      ? Buffer.from(body, 'base64')
      : encoding === 'quoted-printable'
        ? decodeQuoted(body.replace(/=\r?\n/g, ''))
        : Buffer.from(body, 'latin1')
  return bytes.toString('utf8').replaceAll('\r\n', '\n')
}

function decodeWords(text: string): string {
  return text
    .replace(/(=\?[^?]+\?[QB]\?[^?]*\?=)\s+(?==\?)/gi, '$1')
    .replace(/(?:=\?utf-8\?[QB]\?[^?]*\?=)+/gi, words => {
      const bytes = [...words.matchAll(/=\?utf-8\?([QB])\?([^?]*)\?=/gi)].map(([, kind = '', encoded = '']) =>
        kind.toUpperCase() === 'B' ? Buffer.from(encoded, 'base64') : decodeQuoted(encoded.replaceAll('_', ' ')),
      )
      return Buffer.concat(bytes).toString('utf8')
    })
}

function decodeQuoted(text: string): Buffer {
  return Buffer.from(
    text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
}
