/** Where a request came from: X-Forwarded-For counts only from trusted proxies, Forwarded from nobody. */
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import pino from 'pino'
import { readConfig } from '../../src/config.ts'
import { callerOf, identifyCaller } from '../../src/http/caller.ts'

/** A server that answers with the caller it sees; requests come from `from`, an address of this machine. */
async function startCallerServer(t: ExecutionContext, trustProxy?: string, from = '127.0.0.1') {
  const logged: { msg: string; peer?: string }[] = []
  const app = new Koa()
  const { trustProxy: networks } = readConfig({ LATCHKEY_TRUST_PROXY: trustProxy })
  app.use(identifyCaller(networks, pino({}, { write: line => logged.push(JSON.parse(line)) })))
  app.use(ctx => {
    ctx.body = { ...callerOf(ctx) }
  })
  const server = createServer(app.callback())
  await new Promise<void>(resolve => server.listen(0, from === '::1' ? '::1' : '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo

  async function ask(headers: Record<string, string | string[]>): Promise<{ ip?: string; userAgent?: string }> {
    const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
      get({ host: from, port, headers, agent: false }, resolve).on('error', reject)
    })
    const body = await text(response)
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${body}`)
    return JSON.parse(body)
  }
  return { logged, ask, ipFor: async (forwardedFor: string) => (await ask({ 'x-forwarded-for': forwardedFor })).ip }
}

test('without a proxy the caller is the peer, with its user agent', async t => {
  const { ask, logged } = await startCallerServer(t)
  t.deepEqual(await ask({ 'user-agent': 'curl' }), { ip: '127.0.0.1', userAgent: 'curl' })
  t.deepEqual(logged, [])
})

test('X-Forwarded-For of anybody is ignored, and logged once as a likely mistake', async t => {
  const { ipFor, logged } = await startCallerServer(t)
  for (const forwarded of ['203.0.113.1', '203.0.113.2']) t.is(await ipFor(forwarded), '127.0.0.1')
  t.deepEqual(
    logged.map(({ msg, peer }) => ({ msg, peer })),
    [{ msg: 'X-Forwarded-For is ignored: its sender is not in LATCHKEY_TRUST_PROXY', peer: '127.0.0.1' }],
  )
})

test('X-Forwarded-For of a peer that is not among the proxies is ignored and logged', async t => {
  const { ipFor, logged } = await startCallerServer(t, '10.0.0.0/8')
  t.is(await ipFor('203.0.113.1'), '127.0.0.1')
  t.is(logged.length, 1)
})

test('X-Forwarded-For of a trusted proxy names the caller, and is nothing to log', async t => {
  const { ipFor, ask, logged } = await startCallerServer(t, '127.0.0.0/8')
  t.is(await ipFor('203.0.113.1'), '203.0.113.1')
  t.is((await ask({})).ip, '127.0.0.1')
  t.deepEqual(logged, [])
})

test('Forwarded (RFC 7239) of anybody is ignored, and logged once as a likely mistake', async t => {
  const { ask, logged } = await startCallerServer(t, '10.0.0.0/8')
  for (const forwarded of ['for=203.0.113.1', 'for=203.0.113.2'])
    t.is((await ask({ forwarded, 'x-forwarded-for': '203.0.113.3' })).ip, '127.0.0.1')
  t.deepEqual(
    logged.map(({ msg }) => msg),
    ['X-Forwarded-For', 'Forwarded'].map(name => `${name} is ignored: its sender is not in LATCHKEY_TRUST_PROXY`),
  )
})

test('Forwarded alone does not count, even of a trusted proxy, and is logged once', async t => {
  const { ask, logged } = await startCallerServer(t, '127.0.0.0/8')
  for (let i = 0; i < 2; i++) t.is((await ask({ forwarded: 'for=203.0.113.1' })).ip, '127.0.0.1')
  t.deepEqual(
    logged.map(({ msg, peer }) => ({ msg, peer })),
    [{ msg: 'Forwarded is ignored: only X-Forwarded-For of a trusted proxy counts', peer: '127.0.0.1' }],
  )
})

test('Forwarded beside X-Forwarded-For of a trusted proxy is nothing to log: the other names the caller', async t => {
  const { ask, logged } = await startCallerServer(t, '127.0.0.0/8')
  t.is((await ask({ forwarded: 'for=203.0.113.1', 'x-forwarded-for': '203.0.113.2' })).ip, '203.0.113.2')
  t.deepEqual(logged, [])
})

for (const [forwarded, ip, why] of [
  ['198.51.100.1, 203.0.113.1', '203.0.113.1', 'what is left of the last hop is what the sender claims'],
  ['198.51.100.1, 203.0.113.1, 10.0.0.2', '203.0.113.1', 'our own proxies are passed over'],
  ['203.0.113.1, 10.0.0.2, 10.0.0.3', '203.0.113.1', 'several of our proxies are passed over'],
  ['127.0.0.1, 203.0.113.1', '203.0.113.1', 'the address of a proxy further left is a claim too'],
  ['10.0.0.2, 10.0.0.3', '10.0.0.2', 'a request that begins at a proxy is that proxy’s'],
  ['203.0.113.1,10.0.0.2', '203.0.113.1', 'spaces are not needed'],
  ['203.0.113.1:54321', '203.0.113.1', 'a port is dropped'],
  ['[2001:db8::1]:443', '2001:db8::1', 'a port is dropped from IPv6 too'],
  ['[2001:db8::1]', '2001:db8::1', 'so are brackets'],
  ['2001:db8::1', '2001:db8::1', 'IPv6 without brackets is whole'],
  ['::ffff:203.0.113.1', '203.0.113.1', 'IPv4 inside IPv6 is IPv4'],
  ['203.0.113.1, ::ffff:10.0.0.2', '203.0.113.1', 'also where it is a proxy'],
  ['203.0.113.1, fd00::7', '203.0.113.1', 'an IPv6 proxy is passed over'],
  ['198.51.100.1, unknown', '127.0.0.1', 'behind garbage nothing is believed'],
  ['198.51.100.1, unknown, 10.0.0.2', '10.0.0.2', 'garbage ends at the last hop that is known'],
  ['', '127.0.0.1', 'an empty header says nothing'],
  ['203.0.113.1,', '127.0.0.1', 'nor does an empty hop'],
  ['203.0.113.256', '127.0.0.1', 'what is no address is garbage'],
  ['_hidden', '127.0.0.1', 'obfuscated identifiers (RFC 7239 §6.3) are garbage'],
  ['fe80::1%eth0', 'fe80::1%eth0', 'a link-local address may have its zone'],
] as const) {
  test(`behind a trusted proxy, X-Forwarded-For ${JSON.stringify(forwarded)} is ${ip}: ${why}`, async t => {
    const { ipFor } = await startCallerServer(t, '127.0.0.1,10.0.0.0/8,fd00::/8')
    t.is(await ipFor(forwarded), ip)
  })
}

test('several X-Forwarded-For headers are one list', async t => {
  const { ask } = await startCallerServer(t, '127.0.0.1,10.0.0.0/8')
  t.is((await ask({ 'x-forwarded-for': ['198.51.100.1', '203.0.113.1, 10.0.0.2'] })).ip, '203.0.113.1')
})

test('no text in X-Forwarded-For breaks a request', async t => {
  const { ipFor } = await startCallerServer(t, '127.0.0.1')
  const odd = ['[', ']', '[]:1', ':::', '1.2.3.4:', ',,,', '%', '::ffff:', '[::ffff:1.2.3.4]:x', 'a'.repeat(4000), '0']
  for (const forwarded of odd) t.is(await ipFor(forwarded), '127.0.0.1', forwarded)
  t.is(await ipFor('203.0.113.1'), '203.0.113.1')
})

test('a proxy that connects by IPv6 is trusted by its IPv6 address', async t => {
  const trusting = await startCallerServer(t, '::1', '::1').catch(error => error.code)
  if (trusting === 'EADDRNOTAVAIL' || trusting === 'EAFNOSUPPORT') return t.pass('this machine has no IPv6')
  t.is(await trusting.ipFor('203.0.113.1'), '203.0.113.1')
  const other = await startCallerServer(t, '::2', '::1')
  t.is(await other.ipFor('203.0.113.1'), '::1')
})

test('32 proxies of ours are looked through, and what comes before them is not: anybody could write it', async t => {
  const { ipFor } = await startCallerServer(t, '127.0.0.0/8')
  const behind = (proxies: number) => `203.0.113.7${', 127.0.0.2'.repeat(proxies)}`
  t.is(await ipFor(behind(31)), '203.0.113.7')
  t.is(await ipFor(behind(32)), '127.0.0.2')
})
