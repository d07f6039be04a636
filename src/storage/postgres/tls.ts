/** How a connection is encrypted, and who is at the other end: libpq's `sslmode` in Node's words (PostgreSQL documentation, "SSL Support"). */
import { readFileSync, statSync } from 'node:fs'
import { type ConnectionOptions, getCACertificates } from 'node:tls'
import { type DatabaseUrl, type Host, isSocket } from './url.ts'

/** Bytes: the certificates of a big provider are some 200 KB. */
const maxFile = 2 ** 20

/**
 * @returns false for a connection in the clear. `prefer` and `require` encrypt, and with a root certificate also verify, as libpq does
 * @throws Error in one line for the operator
 */
export function tlsOptions(
  { sslMode, sslRootCert, sslCert, sslKey }: DatabaseUrl,
  host: Host,
): false | ConnectionOptions {
  if (sslMode === 'disable' || isSocket(host)) return false
  const options: ConnectionOptions = { rejectUnauthorized: sslRootCert !== undefined }
  if (sslRootCert !== undefined)
    options.ca = sslRootCert === 'system' ? getCACertificates('system') : read('sslrootcert', sslRootCert)
  // Only this mode asks whether the certificate is of the very host.
  if (sslMode !== 'verify-full') options.checkServerIdentity = () => undefined
  if (sslCert !== undefined) options.cert = read('sslcert', sslCert)
  if (sslKey !== undefined) options.key = readKey(sslKey)
  return options
}

/** As libpq: a private key that others can read is none. */
function readKey(file: string): string {
  const text = read('sslkey', file)
  if ((statSync(file).mode & 0o077) !== 0)
    throw new Error(`sslkey of LATCHKEY_DATABASE_URL is not used: others can read the file ${file}; chmod 600`)
  return text
}

function read(parameter: string, file: string): string {
  try {
    const { size } = statSync(file)
    if (size > maxFile) throw new Error('it is longer than 1 MiB')
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`cannot read ${parameter} of LATCHKEY_DATABASE_URL: ${(error as Error).message}`, { cause: error })
  }
}
