/** Holds every answer of a test server to the records of its endpoints, which `/openapi.json` is made of. */
import { endpointsOf } from '../src/app.ts'
import type { Content } from '../src/http/description.ts'
import {
  type Described,
  describeEndpoints,
  errorHeaders,
  errorsByStatus,
  toldByPage,
} from '../src/http/docs/openapi.ts'
import type { Endpoint } from '../src/http/endpoint.ts'
import { htmlType, jsonType } from '../src/http/media_types.ts'
import { errorResponse, htmlPage } from '../src/http/schemas.ts'
import type { Deps, OAuthConfig } from '../src/oauth/deps.ts'
import { latchkey } from '../src/pages/brand.ts'

export type Seen = Readonly<{ method: string; path: string; status: number; headers: Headers; text: string }>

/** The records of a server as they are, to look at: without what a handler needs. */
export function describedEndpoints(issuer: string, hasDocs: boolean): readonly Described[] {
  const config: Partial<OAuthConfig> = { issuer }
  return describeEndpoints(endpointsOf({ config, brand: latchkey } as Deps, hasDocs))
}

/** @returns a function that throws an Error which says what of an answer the records do not know */
export function createAnswerCheck(endpoints: readonly Endpoint[]): (seen: Seen) => void {
  const patterns = describeEndpoints(endpoints).map(endpoint => ({
    endpoint,
    pattern: new RegExp(`^${endpoint.path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
  }))
  return seen => {
    const wanted = seen.method === 'HEAD' ? 'get' : seen.method.toLowerCase()
    const [pathname = ''] = seen.path.split('?')
    // A path without variable parts is meant before one with (OpenAPI 3.1 §4.8.8.2).
    const exact = patterns.filter(({ endpoint }) => endpoint.path === pathname)
    const found = (exact.length > 0 ? exact : patterns).find(
      ({ endpoint, pattern }) => endpoint.method === wanted && pattern.test(pathname),
    )
    const problem = problemOf(seen, found?.endpoint)
    if (problem === undefined) return
    throw new Error(`${seen.method} ${seen.path} answered ${seen.status}, ${problem}: ${seen.text.slice(0, 500)}`)
  }
}

function problemOf(seen: Seen, endpoint: Described | undefined): string | undefined {
  const { status, headers } = seen
  if (!headers.has('x-request-id')) return 'without X-Request-Id'
  // Preflights (the fetch standard), and what every server has to say to what it does not know.
  if (endpoint === undefined) {
    if (status === 204 && seen.method === 'OPTIONS') return undefined
    return [200, 400, 404, 405, 414].includes(status) && (status !== 200 || seen.method === 'OPTIONS')
      ? undefined
      : 'where there is no endpoint'
  }
  const success = endpoint.description.answers[status]
  if (success !== undefined) {
    return missingHeader(headers, success.headers ?? []) ?? bodyProblem(seen, success.content)
  }
  const codes = errorsByStatus(endpoint.errors)[status]
  if (codes === undefined) return 'a status that the table does not have'
  const hasPage = endpoint.hasPages || toldByPage.includes(String(status))
  const content = { [jsonType]: errorResponse(codes), ...(hasPage && { [htmlType]: htmlPage }) }
  return missingHeader(headers, errorHeaders(codes)) ?? bodyProblem(seen, content)
}

function missingHeader(headers: Headers, names: readonly string[]): string | undefined {
  const missing = names.find(name => !headers.has(name))
  return missing && `without ${missing}`
}

function bodyProblem({ method, headers, text }: Seen, content: Content | undefined): string | undefined {
  if (method === 'HEAD') return undefined
  if (content === undefined) return text === '' ? undefined : 'with a body that the table does not have'
  const type = (headers.get('content-type') ?? '').split(';')[0]!
  const schema = content[type]
  if (schema === undefined) return `with the type ${type}, which the table does not have`
  const { error } = schema.safeParse(type.endsWith('json') ? JSON.parse(text) : text)
  return error && `with a body that does not fit: ${error.message}`
}
