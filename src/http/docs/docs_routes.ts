/** The OpenAPI document, and the two pages that show it. Nothing of this is made or loaded before somebody asks for it. */
import { readFile } from 'node:fs/promises'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { paths } from '../../pages/paths.ts'
import { type Asset, createAsset, sendAsset } from '../assets.ts'
import type { Context } from '../context.ts'
import { notModified, ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { setDocumentHeaders } from '../headers.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { type DocsFile, docsFiles, locateDocsFile } from './docs_files.ts'

/** Asked for again each time, and answered with 304 until it has changed. */
const revalidated = 'public, no-cache'
/** The content's hash is in the path. */
const immutable = 'public, max-age=31536000, immutable'

/** The empty style sheet that ReDoc puts into the page before it knows of the nonce, and that with its one text. */
const redocStyleHashes =
  "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"

/**
 * @param isOn whether /docs and /redoc are switched on
 * @param others the endpoints that the document has besides these
 * @param api which of the two listeners it is of
 */
export function docsEndpoints(
  { config, randomBytes }: Deps,
  isOn: boolean,
  others: readonly Endpoint[],
  api: 'public' | 'admin' = 'public',
) {
  const endpoints: readonly Endpoint[] = [documentEndpoint(), ...(isOn ? pageEndpoints(randomBytes) : [])]
  const document = once(async () => {
    const { openApiDocument } = await import('./openapi.ts')
    return createAsset(jsonType, Buffer.from(JSON.stringify(openApiDocument(config, [...others, ...endpoints], api))))
  })
  return endpoints

  function documentEndpoint(): Endpoint {
    return {
      id: 'openapi',
      method: 'get',
      path: paths.openApi,
      caller: 'open',
      cors: api === 'public' ? 'public' : 'none',
      handle: async ctx => sendAsset(ctx, await document(), revalidated),
      describe: ({ openApiResponse }) => ({
        tag: 'Documentation',
        summary: 'This document',
        answers: { ...ok('The document.', { [jsonType]: openApiResponse }, 'ETag', 'Cache-Control'), ...notModified },
      }),
    }
  }
}

function pageEndpoints(randomBytes: Deps['randomBytes']): readonly Endpoint[] {
  const files = once(loadFiles)
  const shared = { method: 'get', caller: 'open' } as const
  const describePage =
    (summary: string, description: string): Endpoint['describe'] =>
    ({ htmlPage }) => ({
      tag: 'Documentation',
      summary,
      description,
      answers: ok('A page.', { [htmlType]: htmlPage }),
      errors: { not_found: 'the files of this page are not installed' },
    })
  return [
    {
      ...shared,
      id: 'swaggerUi',
      path: paths.docs,
      cors: 'none',
      async handle(ctx) {
        const { pathOf } = await files()
        sendPage(
          ctx,
          "style-src 'self'; img-src 'self' data:",
          `<title>Latchkey API</title>
<link rel="stylesheet" href="${pathOf('page.css')}">
<link rel="stylesheet" href="${pathOf('swagger-ui.css')}">
<script defer src="${pathOf('swagger-ui-bundle.js')}"></script>
<script defer src="${pathOf('start_swagger_ui.js')}"></script>`,
        )
      },
      describe: describePage('This document in Swagger UI', 'Authorize signs in with a password; then try things out.'),
    },
    {
      ...shared,
      id: 'redoc',
      path: paths.reference,
      cors: 'none',
      async handle(ctx) {
        const { pathOf } = await files()
        // For its style sheets, which it makes as it goes.
        const nonce = randomBytes(16).toString('base64url')
        sendPage(
          ctx,
          `style-src 'self' 'nonce-${nonce}' ${redocStyleHashes}; img-src 'self' data:; worker-src blob:`,
          `<title>Latchkey API reference</title>
<link rel="stylesheet" href="${pathOf('page.css')}">
<script defer src="${pathOf('redoc.standalone.js')}"></script>
<script defer src="${pathOf('start_redoc.js')}" nonce="${nonce}"></script>`,
        )
      },
      describe: describePage('This document in ReDoc', 'For reading.'),
    },
    {
      ...shared,
      id: 'docsAsset',
      path: '/docs/assets/{hash}/{file}',
      cors: 'public',
      async handle(ctx, { hash, file }) {
        const { byPath } = await files()
        const asset = byPath.get(`${hash}/${file}`)
        if (asset === undefined) throw new OAuthError('not_found', 'there is no such file')
        await sendAsset(ctx, asset, immutable)
      },
      describe: ({ assetPath, textFile }) => ({
        tag: 'Documentation',
        summary: 'What the two pages are made of',
        pathParams: assetPath,
        answers: {
          ...ok(
            'A file. It never changes.',
            { 'text/javascript': textFile, 'text/css': textFile },
            'ETag',
            'Cache-Control',
          ),
          ...notModified,
        },
        errors: { not_found: 'there is no such file' },
      }),
    },
  ]
}

/** Links are relative, so that they lead here also when a proxy has put this server below a path. */
function sendPage(ctx: Context, policy: string, head: string): void {
  const shared = "default-src 'none'; script-src 'self'; connect-src 'self'"
  setDocumentHeaders(
    ctx,
    `${shared}; ${policy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'no-referrer',
  )
  ctx.body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="favicon.ico">
${head}
<div id="content"><noscript>This page needs JavaScript. The document that it shows is <a href="openapi.json">openapi.json</a>.</noscript></div>
</html>
`
}

async function loadFiles() {
  const names = Object.keys(docsFiles) as DocsFile[]
  const assets = await Promise.all(names.map(loadFile))
  const paths = new Map(names.map((name, i) => [name, `${assets[i]!.hash}/${name}`]))
  return {
    byPath: new Map([...paths.values()].map((path, i) => [path, assets[i]!])),
    pathOf: (name: DocsFile) => `docs/assets/${paths.get(name)}`,
  }
}

async function loadFile(name: DocsFile): Promise<Asset> {
  try {
    const file = locateDocsFile(name)
    return createAsset(docsFiles[name].type, withoutForeignLogo(await readFile(file)))
  } catch (cause) {
    // A checkout without its development dependencies.
    throw new OAuthError('not_found', 'the files of this page are not installed', { cause })
  }
}

/** ReDoc shows a logo from a CDN, and no option turns it off. It leaves out a picture that cannot be loaded. */
function withoutForeignLogo(file: Buffer): Buffer {
  const logo = 'https://cdn.redoc.ly/redoc/logo-mini.svg'
  return file.includes(logo) ? Buffer.from(file.toString().replaceAll(logo, 'data:,')) : file
}

/** Does something at the first call, and again after it has failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch(error => {
      made = undefined
      throw error
    })
    return made
  }
}
