/** Which endpoints an app in a browser needs, and where such an app may come from. */
export const appOrigin = 'https://app.example.com'
export const corsEndpoints = [
  ['POST', '/token'],
  ['POST', '/revoke'],
  ['GET', '/users/me'],
  ['GET', '/userinfo'],
  ['POST', '/userinfo'],
  ['POST', '/logout'],
  ['GET', '/sessions'],
  ['DELETE', '/sessions/AAAAAAAAAAAAAAAAAAAAAA'],
] as const

export function preflightHeaders(origin: string, method = 'POST') {
  return {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': 'authorization,content-type',
  }
}
