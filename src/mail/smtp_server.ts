/** The server that mails are handed to, as operators set it. */
export type SmtpServer = Readonly<{
  host: string
  port: number
  /** From the first byte, by STARTTLS or not at all, or by STARTTLS where the server offers it: only on this machine. */
  tls: 'implicit' | 'required' | 'optional'
  /** Secret. */
  credentials?: Readonly<{ user: string; password: string }> | undefined
}>
