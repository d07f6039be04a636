/**
 * What is loaded as CommonJS. An ES module that imports node:http reads each of its exports, and with `WebSocket` Node loads all of
 * fetch, which nothing here uses: 12 MiB of memory and a tenth of the start.
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const { createServer } = require('node:http') as typeof import('node:http')
export const { Router } = require('@koa/router') as typeof import('@koa/router')
