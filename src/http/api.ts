/**
 * The endpoints as others see them: what each takes and answers, and how it refuses. `/openapi.json` is made of this table, and
 * the tests hold it to the router, both ways, and to every answer. A new route is one entry here.
 */
import type { z } from 'zod'
import type { ErrorCode } from '../error.ts'
import {
  loginParams,
  loginQuery,
  logoutQuery,
  passwordChangeParams,
  passwordForm,
  profileQuery,
  sessionPath,
  sessionsQuery,
  signOutForm,
} from './request_params.ts'
import * as schemas from './schemas.ts'

export const formType = 'application/x-www-form-urlencoded'
export const jsonType = 'application/json'
export const htmlType = 'text/html'

/** In the order of the document. */
export const tags = {
  Tokens: 'For apps. Each request says which client it comes from.',
  User: 'Who is behind an access token.',
  Sessions: "A session is one sign-in on one device. Ended is ended: its tokens don't work here any more.",
  Browser:
    'For people, and for sites that keep who is signed in by a cookie. The same paths answer JSON to a program and pages to a browser, by `Accept`. Another site can change nothing here.',
  Discovery: 'What libraries and resource servers ask for by themselves.',
  Health: 'For supervisors and load balancers.',
  Documentation: 'What you are reading.',
} as const

/**
 * How a request says who it is from. `user`: the access token of a user, `cookie`: the cookie of a browser, `client`: one of the
 * ways of client authentication, `open`: not at all.
 */
export type Caller = 'user' | 'cookie' | 'user or cookie' | 'client' | 'open'

export type Content = Readonly<Record<string, z.ZodType>>

export const headers = {
  'X-Request-Id': 'The id of the request, which the line in the log of the server has too.',
  'WWW-Authenticate': 'How to authenticate.',
  'Retry-After': 'Seconds until another try may succeed.',
  ETag: 'The version of this answer, for `If-None-Match`.',
  'Set-Cookie': 'The session cookie, or its end.',
  Location: 'Where a browser goes next.',
  'Cache-Control': 'How long a cache may keep this answer.',
  Link: 'The next page, `<URL>; rel="next"`. RFC 8288.',
} as const
export type HeaderName = keyof typeof headers

/** What a request gets that is not refused. */
export type Success = Readonly<{
  description: string
  content?: Content
  headers?: readonly HeaderName[]
  sometimes?: readonly HeaderName[]
}>

export type Endpoint = Readonly<{
  method: 'get' | 'post' | 'put' | 'delete'
  /** With its variable parts in braces. */
  path: string
  id: string
  tag: keyof typeof tags
  summary: string
  description?: string
  caller: Caller
  /** One of those that `LATCHKEY_DOCS` switches off. */
  isDocs?: true
  /** A browser is told by a page what is wrong. */
  hasPages?: true
  pathParams?: z.ZodObject
  query?: z.ZodObject
  body?: Readonly<{ required: boolean; content: Readonly<Record<string, z.ZodType | readonly z.ZodObject[]>> }>
  /** By status. */
  answers: Readonly<Record<number, Success>>
  /** The codes that a request can be refused with, each with a description that it comes with. */
  errors: Readonly<Partial<Record<ErrorCode, string>>>
}>

const ok = (description: string, content: Content, ...more: HeaderName[]): Readonly<Record<number, Success>> => ({
  200: { description, content, headers: more },
})
const notModified: Readonly<Record<number, Success>> = {
  304: { description: 'What `If-None-Match` names is still the newest.', headers: ['ETag'] },
}

const goOn: Readonly<Record<number, Success>> = {
  303: { description: 'For a browser: where it goes next.', headers: ['Location'] },
}

const broken = {
  server_error: 'something went wrong here',
  uri_too_long: 'the URL has more than 8000 characters',
} as const
const busy = { ...broken, temporarily_unavailable: 'the database cannot be used at the moment' } as const
const readsForm = {
  ...busy,
  length_required: 'a compressed body must say how long it is',
  request_too_large: 'the body is too large',
} as const
const readsQuery = { invalid_request: 'there are more than 100 parameters' } as const
const guessing = { too_many_attempts: 'too many attempts failed; try again later' } as const
const clientRefused = {
  ...readsForm,
  ...guessing,
  invalid_client: 'client authentication failed',
  client_refused: 'client authentication failed',
} as const
const userRefused = {
  ...busy,
  invalid_request: 'the access token belongs in the Authorization header',
  invalid_token: 'the access token is expired, revoked or not valid here',
} as const
const formOrJson = (schema: z.ZodObject) => ({ required: true, content: { [formType]: schema, [jsonType]: schema } })
const stranger = { ...busy, login_required: 'sign in first' } as const
const crossSite = { forbidden: 'this request came from another site' } as const
const scopeMissing = { insufficient_scope: 'the access token has not the scope openid' } as const

export const endpoints: readonly Endpoint[] = [
  {
    method: 'post',
    path: '/token',
    id: 'token',
    tag: 'Tokens',
    summary: 'Sign in, refresh, or a token for the client itself',
    description:
      'Lost the answer? Send the same request again; that is safe with the same refresh token too. The old refresh token is dead only after the new one has been used. RFC 6749.',
    caller: 'client',
    body: { required: true, content: { [formType]: schemas.tokenForms } },
    answers: ok('Signed in, or refreshed.', { [jsonType]: schemas.tokenResponse }, 'Cache-Control'),
    errors: {
      ...clientRefused,
      invalid_request: 'grant_type is missing',
      invalid_grant: 'the username or password is wrong',
      unauthorized_client: 'the client may not use this grant type',
      unsupported_grant_type: 'this grant type is not supported; there are password, refresh_token, client_credentials',
      invalid_scope: 'the scope asks for more than can be granted: admin',
      invalid_target: 'the resource is malformed, given twice or not one that can be granted',
    },
  },
  {
    method: 'post',
    path: '/revoke',
    id: 'revoke',
    tag: 'Tokens',
    summary: 'End the session of a token',
    description:
      'A token that is not known, has expired or is of another client changes nothing and is no error. RFC 7009.',
    caller: 'client',
    body: { required: true, content: { [formType]: schemas.revocationForm } },
    answers: ok('The token does not work any more.', { [jsonType]: schemas.emptyResponse }),
    errors: { ...clientRefused, invalid_request: 'token is missing' },
  },
  {
    method: 'post',
    path: '/introspect',
    id: 'introspect',
    tag: 'Tokens',
    summary: 'What a token is worth now',
    description:
      'For confidential clients. Looks at the session, so a logout shows at once. With `Accept: application/token-introspection+jwt` the answer is signed. RFC 7662, RFC 9701.',
    caller: 'client',
    body: { required: true, content: { [formType]: schemas.introspectionForm } },
    answers: ok('What is known about the token.', {
      [jsonType]: schemas.introspectionResponse,
      'application/token-introspection+jwt': schemas.introspectionJwt,
    }),
    errors: { ...clientRefused, invalid_request: 'token is missing' },
  },
  {
    method: 'get',
    path: '/users/me',
    id: 'me',
    tag: 'User',
    summary: 'The user behind an access token',
    caller: 'user',
    answers: ok('The user.', { [jsonType]: schemas.userResponse }),
    errors: userRefused,
  },
  {
    method: 'put',
    path: '/users/me/password',
    id: 'changePassword',
    tag: 'User',
    summary: 'Change the password',
    description:
      "Ends the user's other sessions. This one goes on with the tokens of the answer: the refresh tokens that it had before are dead, so that nobody who copied one goes on with it.",
    caller: 'user',
    body: formOrJson(passwordChangeParams),
    answers: ok('Changed.', { [jsonType]: schemas.tokenResponse }, 'Cache-Control'),
    errors: {
      ...userRefused,
      ...readsForm,
      ...guessing,
      invalid_request: 'the password must have at least 8 characters',
      invalid_grant: 'the current password is wrong',
    },
  },
  ...(['get', 'post'] as const).map(
    (method): Endpoint => ({
      method,
      path: '/userinfo',
      id: method === 'get' ? 'userInfo' : 'userInfoByPost',
      tag: 'User',
      summary: 'The claims of OpenID Connect about the user',
      description:
        'Needs the scope `openid`; `profile` and `email` bring their claims. A claim that is not known is left out. OpenID Connect Core §5.3.',
      caller: 'user',
      ...(method === 'post' && { body: { required: false, content: { [formType]: schemas.userInfoForm } } }),
      answers: ok('The claims.', { [jsonType]: schemas.userInfoResponse }),
      errors: { ...userRefused, ...scopeMissing, ...(method === 'post' && readsForm) },
    }),
  ),
  {
    method: 'get',
    path: '/sessions',
    id: 'sessions',
    tag: 'Sessions',
    summary: 'Where the user is signed in',
    description:
      'By pages, from the newest sign-in back, each with the last used first. While there are more, the answer has a `Link` to the next page (`rel="next"`, RFC 8288). A page may be shorter than its limit.',
    caller: 'user',
    query: sessionsQuery,
    answers: {
      200: {
        description: 'Sessions that are alive.',
        content: { [jsonType]: schemas.sessionsResponse },
        sometimes: ['Link'],
      },
    },
    errors: { ...userRefused, invalid_request: 'limit or cursor cannot be used' },
  },
  {
    method: 'delete',
    path: '/sessions/{id}',
    id: 'endSession',
    tag: 'Sessions',
    summary: 'End one session of the user',
    caller: 'user',
    pathParams: sessionPath,
    answers: { 204: { description: 'Ended.' } },
    errors: { ...userRefused, not_found: 'you have no such session' },
  },
  ...(['post', 'get'] as const).map(
    (method): Endpoint => ({
      method,
      path: '/logout',
      id: method === 'post' ? 'logout' : 'logoutByLink',
      tag: method === 'post' ? 'Sessions' : 'Browser',
      summary: "End this session, the user's others, or all",
      description:
        method === 'post'
          ? 'By access token or by cookie.'
          : 'By cookie, for a person who leaves a page of this site for it, and for programs. Who comes from elsewhere is asked first; HEAD, what looks ahead and what a page loads or fetches end nothing.',
      caller: method === 'post' ? 'user or cookie' : 'cookie',
      hasPages: true,
      query: logoutQuery,
      answers: {
        200: {
          description: 'Ended.',
          content: { [jsonType]: schemas.logoutResponse, ...(method === 'get' && { [htmlType]: schemas.htmlPage }) },
        },
        ...goOn,
      },
      errors: {
        ...stranger,
        ...crossSite,
        ...(method === 'post' && userRefused),
        invalid_request: 'scope must be others or all',
      },
    }),
  ),
  {
    method: 'get',
    path: '/',
    id: 'home',
    tag: 'Browser',
    summary: 'What this is',
    caller: 'open',
    hasPages: true,
    answers: ok('Says where things are.', { [jsonType]: schemas.homeResponse, [htmlType]: schemas.htmlPage }),
    errors: busy,
  },
  {
    method: 'get',
    path: '/login',
    id: 'loginPage',
    tag: 'Browser',
    summary: 'The page to sign in',
    caller: 'open',
    hasPages: true,
    query: loginQuery,
    answers: { ...ok('The page.', { [htmlType]: schemas.htmlPage }), ...goOn },
    errors: { ...busy, ...readsQuery },
  },
  {
    method: 'post',
    path: '/login',
    id: 'login',
    tag: 'Browser',
    summary: 'Sign in with a cookie',
    caller: 'open',
    hasPages: true,
    body: formOrJson(loginParams),
    answers: {
      ...ok('Signed in.', { [jsonType]: schemas.loginResponse }, 'Set-Cookie'),
      303: { description: 'Signed in; for a browser.', headers: ['Location', 'Set-Cookie'] },
    },
    errors: {
      ...readsForm,
      ...crossSite,
      ...guessing,
      invalid_request: 'username and password are needed, of at most 128 and 1,024 characters',
      sign_in_refused: 'the username or password is wrong',
    },
  },
  {
    method: 'get',
    path: '/profile',
    id: 'profile',
    tag: 'Browser',
    summary: 'Who is signed in; for a person, the account with its devices',
    caller: 'cookie',
    hasPages: true,
    query: profileQuery,
    answers: {
      ...ok('Somebody is.', { [jsonType]: schemas.profileResponse, [htmlType]: schemas.htmlPage }),
      ...goOn,
    },
    errors: { ...stranger, ...readsQuery },
  },
  {
    method: 'post',
    path: '/profile/sign-out',
    id: 'signOutDevices',
    tag: 'Browser',
    summary: 'The form that ends one session, the others or all',
    caller: 'cookie',
    hasPages: true,
    body: formOrJson(signOutForm),
    answers: goOn,
    errors: { ...stranger, ...readsForm, ...crossSite, invalid_request: 'session or scope is missing' },
  },
  {
    method: 'get',
    path: '/profile/password',
    id: 'passwordPage',
    tag: 'Browser',
    summary: 'The page to change the password',
    caller: 'cookie',
    hasPages: true,
    answers: { ...ok('The page.', { [htmlType]: schemas.htmlPage }), ...goOn },
    errors: stranger,
  },
  {
    method: 'post',
    path: '/profile/password',
    id: 'changePasswordByForm',
    tag: 'Browser',
    summary: 'The form that changes the password',
    caller: 'cookie',
    hasPages: true,
    body: formOrJson(passwordForm),
    answers: goOn,
    errors: {
      ...stranger,
      ...readsForm,
      ...crossSite,
      ...guessing,
      invalid_request: 'the current password is wrong',
    },
  },
  {
    method: 'get',
    path: '/.well-known/change-password',
    id: 'changePasswordPlace',
    tag: 'Browser',
    summary: 'Leads to the page to change the password',
    description: 'For password managers. W3C, A Well-Known URL for Changing Passwords.',
    caller: 'open',
    hasPages: true,
    answers: goOn,
    errors: broken,
  },
  {
    method: 'get',
    path: '/favicon.ico',
    id: 'favicon',
    tag: 'Browser',
    summary: 'The icon',
    caller: 'open',
    answers: { ...ok('The icon.', { 'image/x-icon': schemas.textFile }, 'ETag', 'Cache-Control'), ...notModified },
    errors: broken,
  },
  {
    method: 'get',
    path: '/assets/{file}',
    id: 'styleSheet',
    tag: 'Browser',
    summary: 'What the pages look like',
    caller: 'open',
    pathParams: schemas.styleSheetPath,
    answers: ok('A file. It never changes.', { 'text/css': schemas.textFile }, 'Cache-Control'),
    errors: { ...broken, not_found: 'there is nothing at this path' },
  },
  {
    method: 'get',
    path: '/.well-known/jwks.json',
    id: 'jwks',
    tag: 'Discovery',
    summary: 'The public signing keys',
    description: 'A key is here before it signs and until its last token has expired. RFC 7517.',
    caller: 'open',
    answers: {
      ...ok(
        'The keys.',
        { [jsonType]: schemas.jwksResponse, 'application/jwk-set+json': schemas.jwksResponse },
        'ETag',
        'Cache-Control',
      ),
      ...notModified,
    },
    errors: broken,
  },
  ...[
    ['/.well-known/oauth-authorization-server', 'metadata', 'RFC 8414.'],
    ['/.well-known/openid-configuration', 'discovery', 'OpenID Connect Discovery 1.0.'],
  ].map(
    ([path = '', id = '', description = '']): Endpoint => ({
      method: 'get',
      path,
      id,
      tag: 'Discovery',
      summary: 'What this server can do and where',
      description: `The same document at both places. ${description}`,
      caller: 'open',
      answers: {
        ...ok('The metadata.', { [jsonType]: schemas.metadataResponse }, 'ETag', 'Cache-Control'),
        ...notModified,
      },
      errors: broken,
    }),
  ),
  {
    method: 'get',
    path: '/health/live',
    id: 'live',
    tag: 'Health',
    summary: 'Is the process alive',
    caller: 'open',
    answers: ok('It is.', { [jsonType]: schemas.healthResponse }),
    errors: broken,
  },
  {
    method: 'get',
    path: '/health/ready',
    id: 'ready',
    tag: 'Health',
    summary: 'Can it do its work',
    caller: 'open',
    answers: ok('It can.', { [jsonType]: schemas.healthResponse }),
    errors: busy,
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'openapi',
    tag: 'Documentation',
    summary: 'This document',
    caller: 'open',
    answers: {
      ...ok('The document.', { [jsonType]: schemas.openApiResponse }, 'ETag', 'Cache-Control'),
      ...notModified,
    },
    errors: broken,
  },
  ...[
    ['/docs', 'swaggerUi', 'This document in Swagger UI', 'Authorize signs in with a password; then try things out.'],
    ['/redoc', 'redoc', 'This document in ReDoc', 'For reading.'],
  ].map(
    ([path = '', id = '', summary = '', description = '']): Endpoint => ({
      method: 'get',
      path,
      id,
      tag: 'Documentation',
      summary,
      description,
      caller: 'open',
      isDocs: true,
      answers: ok('A page.', { [htmlType]: schemas.htmlPage }),
      errors: { ...broken, not_found: 'the files of this page are not installed' },
    }),
  ),
  {
    method: 'get',
    path: '/docs/assets/{hash}/{file}',
    id: 'docsAsset',
    tag: 'Documentation',
    summary: 'What the two pages are made of',
    caller: 'open',
    isDocs: true,
    pathParams: schemas.assetPath,
    answers: {
      ...ok(
        'A file. It never changes.',
        { 'text/javascript': schemas.textFile, 'text/css': schemas.textFile },
        'ETag',
        'Cache-Control',
      ),
      ...notModified,
    },
    errors: { ...broken, not_found: 'there is no such file' },
  },
]
