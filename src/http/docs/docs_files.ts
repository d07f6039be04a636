/**
 * The files that /docs and /redoc are made of. A checkout takes those of Swagger UI and ReDoc from `node_modules`; the published
 * package has copies, because installing ReDoc brings a hundred packages that nothing here needs.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

export const docsFiles = {
  'page.css': { type: 'text/css' },
  'swagger-ui.css': { type: 'text/css', source: 'swagger-ui-dist/swagger-ui.css' },
  'swagger-ui-bundle.js': { type: 'text/javascript', source: 'swagger-ui-dist/swagger-ui-bundle.js' },
  'start_swagger_ui.js': { type: 'text/javascript' },
  'redoc.standalone.js': { type: 'text/javascript', source: 'redoc/bundles/redoc.standalone.js' },
  'start_redoc.js': { type: 'text/javascript' },
} as const satisfies Record<string, { type: string; source?: string }>

export type DocsFile = keyof typeof docsFiles

/** What has to come along with the copies. */
export const licenseFiles = {
  'swagger-ui.LICENSE.txt': 'swagger-ui-dist/LICENSE',
  'swagger-ui.NOTICE.txt': 'swagger-ui-dist/NOTICE',
  'swagger-ui-bundle.js.LICENSE.txt': 'swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt',
  'redoc.LICENSE.txt': 'redoc/LICENSE',
  'redoc.standalone.js.LICENSE.txt': 'redoc/bundles/redoc.standalone.js.LICENSE.txt',
} as const

/** @throws Error when a package is not installed */
export function locateDocsFile(name: DocsFile): URL {
  const beside = new URL(name, import.meta.url)
  const file: { type: string; source?: string } = docsFiles[name]
  return file.source === undefined || existsSync(beside) ? beside : locateInPackage(file.source)
}

export function locateInPackage(path: string): URL {
  return pathToFileURL(createRequire(import.meta.url).resolve(path))
}
