/**
 * Header fields that a request may have once. Node keeps the first of several and drops the rest without a word, while a proxy or a log
 * may have seen another one. RFC 9110 §5.3; RFC 9112 §3.2 for `Host`. Node itself refuses a second `Content-Length`; what it joins, such
 * as `Origin`, then has a value that nothing here takes.
 */
import { OAuthError } from '../error.ts'

const singleNames = ['authorization', 'content-type', 'host']
const lengths = new Set(singleNames.map(name => name.length))

/**
 * @param rawHeaders names and values in turn, as Node has them
 * @throws OAuthError `invalid_request`
 */
export function insistOnSingleHeaders(rawHeaders: readonly string[]): void {
  let seen = ''
  for (let i = 0; i < rawHeaders.length; i += 2) {
    // Most names have another length: this runs at every request.
    if (!lengths.has(rawHeaders[i]!.length)) continue
    const name = rawHeaders[i]!.toLowerCase()
    if (!singleNames.includes(name)) continue
    if (seen.includes(name)) throw new OAuthError('invalid_request', `the header ${name} is given twice`)
    seen += `${name},`
  }
}
