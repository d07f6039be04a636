/**
 * A server alone in a process, which tells what it has cost: microseconds of processor time of all its threads, garbage collection
 * and hashes included. For cost.test.ts.
 */
import { BlockList } from 'node:net'
import { gzipSync } from 'node:zlib'
import { createClientKey } from './_client_keys.ts'
import { password, startServerWithAlice } from './_server.ts'

export type CostServer = Readonly<{ url: string; accessToken: string; cookie: string }>

const trustProxy = new BlockList()
trustProxy.addAddress('127.0.0.1')
trustProxy.addSubnet('10.0.0.0', 8)
const throttle = { enabled: process.argv[2] === 'throttled' }
const server = await startServerWithAlice({ title: 'cost', teardown() {} }, { http: { trustProxy }, throttle })
const { jwk } = await createClientKey()
await server.addClient({ id: 'jobs', authenticationMethods: ['private_key_jwt'], jwks: { keys: [jwk] } })
const { access_token: accessToken } = await server.signIn()
const login = await server.post('/login', { username: 'alice', password }, { accept: 'application/json' })
const cookie = login.headers.getSetCookie()[0]!.split(';')[0]!
// What is loaded at the first of its kind.
await fetch(`${server.url}/token`, { method: 'POST', body: gzipSync('a'), headers: { 'content-encoding': 'gzip' } })

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send!(user + system)
})
process.on('disconnect', () => process.exit())
process.send!({ url: server.url, accessToken, cookie } satisfies CostServer)
