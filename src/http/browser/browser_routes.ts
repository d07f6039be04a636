/**
 * What a person's browser asks for: signing in with a cookie, the account, the password, signing out, and what the pages are made of. The
 * same paths answer JSON to a program and pages to a browser, by `Accept`.
 */
import type { Deps } from '../../oauth/deps.ts'
import { homePage } from '../../pages/home.ts'
import { paths } from '../../pages/paths.ts'
import { busy, notModified, ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { sendJson } from '../json.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { accountEndpoints } from './account_routes.ts'
import { confirmEndpoints } from './confirm_routes.ts'
import { deletionEndpoints } from './deletion_routes.ts'
import { emailPageEndpoints } from './email_routes.ts'
import { factorPageEndpoints } from './factor_routes.ts'
import { forgotPasswordEndpoints } from './forgot_password_routes.ts'
import { favicon, type Site, sendPage, wantsPage } from './pages.ts'
import { passwordEndpoints } from './password_routes.ts'
import { profileEndpoints } from './profile_routes.ts'
import { readSessionCookie } from './session_cookie.ts'
import { signInEndpoints } from './sign_in_routes.ts'
import { signOutEndpoints } from './sign_out_routes.ts'
import { signUpPageEndpoints } from './sign_up_routes.ts'

/** @param docs whether /docs and /redoc are switched on */
export function browserEndpoints(deps: Deps, site: Site, docs: boolean): readonly Endpoint[] {
  return [
    home(deps, site, docs),
    ...signInEndpoints(deps, site),
    ...signUpPageEndpoints(deps, site),
    ...forgotPasswordEndpoints(deps, site),
    ...accountEndpoints(deps, site),
    ...passwordEndpoints(deps, site),
    ...factorPageEndpoints(deps, site),
    ...confirmEndpoints(deps, site),
    ...profileEndpoints(deps, site),
    ...emailPageEndpoints(deps, site),
    ...deletionEndpoints(deps, site),
    ...signOutEndpoints(deps, site),
    ...fileEndpoints(site),
  ]
}

function home(deps: Deps, site: Site, docs: boolean): Endpoint {
  const { issuer } = deps.config
  return {
    id: 'home',
    method: 'get',
    path: paths.home,
    caller: 'open',
    cors: 'none',
    hasPages: true,
    async handle(ctx) {
      if (!wantsPage(ctx)) return sendJson(ctx, { issuer, metadata: `${issuer}${paths.metadata}` })
      const signedIn = await readSessionCookie(deps, ctx)
      sendPage(ctx, homePage({ docs }, site.frame(ctx, signedIn?.user.username)))
    },
    describe: ({ homeResponse, htmlPage }) => ({
      tag: 'Browser',
      summary: 'What this is',
      answers: ok('Says where things are.', { [jsonType]: homeResponse, [htmlType]: htmlPage }),
      errors: busy,
    }),
  }
}

const pageFileTypes = ['text/css', 'text/javascript', 'image/png', 'image/svg+xml', 'image/webp']

function fileEndpoints(site: Site): readonly Endpoint[] {
  return [
    {
      id: 'favicon',
      method: 'get',
      path: paths.icon,
      caller: 'open',
      cors: 'public',
      handle: favicon,
      describe: ({ textFile }) => ({
        tag: 'Browser',
        summary: 'The icon',
        answers: { ...ok('The icon.', { 'image/x-icon': textFile }, 'ETag', 'Cache-Control'), ...notModified },
      }),
    },
    {
      id: 'pageFile',
      method: 'get',
      path: `${paths.assets}/{file}`,
      caller: 'open',
      cors: 'public',
      handle: (ctx, { file }) => site.file(ctx, file),
      describe: ({ pageFilePath, textFile }) => ({
        tag: 'Browser',
        summary: 'What the pages look like, their script, and the logo',
        pathParams: pageFilePath,
        answers: ok(
          'A file. It never changes.',
          Object.fromEntries(pageFileTypes.map(type => [type, textFile])),
          'Cache-Control',
        ),
        errors: { not_found: 'there is nothing at this path' },
      }),
    },
  ]
}
