/** What programs are, by what they call themselves (RFC 9110 §10.1.5), for people who do not know what that is. */

/** A browser or an app, by its name, its platform or both; or what a program was made with, where that is all that it says. */
export type NamedAgent =
  | Readonly<{ name: string; platform?: string | undefined }>
  | Readonly<{ name?: undefined; platform: string }>
  | Readonly<{ madeWith: string }>

/** Characters. A session keeps fewer; some of the patterns take time by the square of what they read. */
const maxUserAgent = 512

/** In this order: most browsers also call themselves by the names of older ones. */
const browsers: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|OPX|OPT)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bWhale\//, 'Whale'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS)\//, 'Chrome'],
  [/\bVersion\/[\d.]+ .*\bSafari\//, 'Safari'],
]

const platforms: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows NT\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMacintosh\b/, 'Mac'],
  [/\bLinux\b/, 'Linux'],
]

/** Programs and libraries that name nothing but themselves, by how that begins. */
const programs: readonly (readonly [RegExp, string])[] = [
  [/^okhttp\b/i, 'OkHttp'],
  [/^Dart\b/, 'Dart'],
  [/^(?:python|aiohttp\/|httpx\/)/i, 'Python'],
  [/^(?:node|undici|axios|got\b)/i, 'Node.js'],
  [/^Bun\//, 'Bun'],
  [/^Deno\//, 'Deno'],
  [/^Go-http-client\//, 'Go'],
  [/^(?:Java\/|Java-http-client\/|Apache-HttpClient\/|ktor-client)/i, 'Java'],
  [/^(?:GuzzleHttp\/|PHP\/)/, 'PHP'],
  [/^(?:Ruby|Faraday)\b/, 'Ruby'],
  [/^reqwest\//, 'Rust'],
  [/^(?:Mozilla\/5\.0 \([^)]*\) )?(?:WindowsPowerShell|PowerShell)\//, 'PowerShell'],
  [/^curl\//, 'curl'],
  [/^Wget\b/, 'Wget'],
  [/^HTTPie\//, 'HTTPie'],
  [/^PostmanRuntime\//, 'Postman'],
  [/^insomnia\//i, 'Insomnia'],
]

/** @returns undefined for what is none of those that are known: its own words say more */
export function nameUserAgent(text: string): NamedAgent | undefined {
  const userAgent = text.slice(0, maxUserAgent)
  if (/compatible;|bot\b|crawl/i.test(userAgent)) return undefined
  const madeWith = programs.find(([pattern]) => pattern.test(userAgent))?.[1]
  if (madeWith !== undefined) return { madeWith }
  const platform = platforms.find(([pattern]) => pattern.test(userAgent))?.[1]
  if (userAgent.startsWith('Mozilla/5.0 (')) return ofBrowser(userAgent, platform)
  if (/^Dalvik\//.test(userAgent)) return { platform: 'Android' }
  // Frameworks of Apple and what uses them name the app first. It may call itself as it likes, as in percent-encoding.
  const [, app] =
    /^([\p{L}\p{N}][\p{L}\p{N} ._%-]{0,63})\/[^ ]{0,32} (?:.{0,200} )?(?:CFNetwork|Alamofire)\//u.exec(userAgent) ?? []
  return app === undefined ? undefined : { name: decoded(app), platform }
}

/** What looks like a browser and is a view in an app has no name that says more than that. */
function ofBrowser(userAgent: string, platform: string | undefined): NamedAgent | undefined {
  if (platform === undefined) return undefined
  const isView =
    /; wv\)| Electron\//.test(userAgent) || /\b(?:iPhone|iPad)\b(?!.*\b(?:Safari|\w+iOS|OPT)\/)/.test(userAgent)
  if (isView) return { platform }
  const name = browsers.find(([pattern]) => pattern.test(userAgent))?.[1]
  return name === undefined ? undefined : { name, platform }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
