/**
 * AVA loads this before every file of tests. Each of them loads the whole source anew, in a thread or process of its own; most of what
 * that costs is compiling, and Node keeps what it has compiled by the content of a file.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

export const compileCache = fileURLToPath(new URL('../node_modules/.cache/node', import.meta.url))

enableCompileCache(compileCache)
