/** Part of the build: puts the files of /docs and /redoc beside the compiled code, with their licenses. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { type DocsFile, docsFiles, licenseFiles, locateDocsFile, locateInPackage } from '../src/http/docs/docs_files.ts'

const folder = new URL('../dist/http/docs/', import.meta.url)
mkdirSync(folder, { recursive: true })
for (const name of Object.keys(docsFiles) as DocsFile[]) copyFileSync(locateDocsFile(name), new URL(name, folder))
for (const [name, path] of Object.entries(licenseFiles)) copyFileSync(locateInPackage(path), new URL(name, folder))
