/** Holds every answer of a test server to the table of endpoints that `/openapi.json` is made of. */
import { type Content, type Endpoint, htmlType, jsonType } from '../src/http/api.ts'
import { endpointsOf, errorHeaders, errorsByStatus, toldByPage } from '../src/http/docs/openapi.ts'
import { errorResponse, htmlPage } from '../src/http/schemas.ts'

export type Seen = Readonly<{ method: string; path: string; status: number; headers: Headers; text: string }>

/** @returns a function that throws an Error which says what of an answer the table does not know */
export function createAnswerCheck(issuer: string, hasDocs: boolean): (seen: Seen) => void {
  const patterns = endpointsOf(issuer, hasDocs).map(endpoint => ({
    endpoint,
    pattern: new RegExp(`^${endpoint.path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
  }))
  return seen => {
    const wanted = seen.method === 'HEAD' ? 'get' : seen.method.toLowerCase()
    const [pathname = ''] = seen.path.split('?')
    const found = patterns.find(({ endpoint, pattern }) => endpoint.method === wanted && pattern.test(pathname))
    const problem = problemOf(seen, found?.endpoint)
    if (problem === undefined) return
    throw new Error(`${seen.method} ${seen.path} answered ${seen.status}, ${problem}: ${seen.text.slice(0, 500)}`)
  }
}

function problemOf(seen: Seen, endpoint: Endpoint | undefined): string | undefined {
  const { status, headers } = seen
  if (!headers.has('x-request-id')) return 'without X-Request-Id'
  // Preflights (the fetch standard), and what every server has to say to what it does not know.
  if (endpoint === undefined) {
    if (status === 204 && seen.method === 'OPTIONS') return undefined
    return [200, 400, 404, 405, 414].includes(status) && (status !== 200 || seen.method === 'OPTIONS')
      ? undefined
      : 'where there is no endpoint'
  }
  const success = endpoint.answers[status]
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
