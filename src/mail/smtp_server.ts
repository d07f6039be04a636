/** The server that mails are handed to, as operators set it. */
export type SmtpServer = Readonly<{
  host: string
  port: number
  /** From the first byte, by STARTTLS or not at all, or by STARTTLS where the server offers it: only on this machine. */
  tls: 'implicit' | 'required' | 'optional'
  /** Secret. */
  credentials?: Readonly<{ user: string; password: string }> | undefined
}>

/** For people: without user and password. */
export function formatSmtpServer({ host, port, tls }: SmtpServer): string {
  return `${tls === 'implicit' ? 'smtps' : 'smtp'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** What an operator can do about a failure. */
export function smtpAdvice(error: string, { port, tls }: SmtpServer): string {
  if (error.includes('STARTTLS') || (error.includes('safe connection') && port === 465 && tls !== 'implicit'))
    return 'take a server that offers STARTTLS, mostly at port 587, or write smtps:// for one that begins with TLS, at port 465'
  if (error.includes('safe connection'))
    return 'its certificate has to be for the host in LATCHKEY_SMTP_URL; for an authority of your own set NODE_EXTRA_CA_CERTS'
  if (error.includes('user and password') || error.includes('sign in'))
    return 'look at the user and the password in LATCHKEY_SMTP_URL: percent-encode what is no letter or digit in them'
  if (error.includes('that sender'))
    return 'the server lets nobody send as LATCHKEY_MAIL_FROM, or wants a user and a password in LATCHKEY_SMTP_URL'
  if (error.includes('address') && !error.includes('has no address'))
    return 'it takes no mail for that address, or none from here: look at what it lets you send'
  return 'look at host and port in LATCHKEY_SMTP_URL, and whether a firewall is between: many providers close port 25'
}
