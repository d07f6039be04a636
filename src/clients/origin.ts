/** Origins of browser apps, as browsers write them into `Origin`. RFC 6454 §6.2; HTML §7.1.1; web views have schemes of their own. */

const customOrigin = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(?::\d{1,5})?$/

/** @returns the origin in lower case, without a final slash; undefined where {@link originProblem} says why */
export function parseOrigin(text: string): string | undefined {
  const origin = text.toLowerCase()
  if (!customOrigin.test(origin) && !/^https?:\/\/\[[0-9a-f:.]+\](?::\d{1,5})?$/.test(origin)) return undefined
  return !isWeb(origin) || URL.parse(origin)?.origin === origin ? origin : undefined
}

/** Why a text is no origin that can be allowed, in words for an operator; undefined for one that can. */
export function originProblem(text: string): string | undefined {
  if (parseOrigin(text) !== undefined) return undefined
  if (text === 'null') return 'null is what local files and sandboxed frames of anybody send'
  if (text.includes('*')) return 'there are no wildcards: one lost host would be let in, too'
  const url = URL.parse(text)
  if (url !== null && isWeb(`${url.protocol}//`) && url.host !== '') return `browsers send it as ${url.origin}`
  return undefined
}

function isWeb(origin: string): boolean {
  return /^https?:\/\//.test(origin)
}
