/** What RFC 7517 asks and no other test shows. */
import test from 'ava'
import { parseClientJwks } from '../../src/clients/client.ts'
import { openSigningKey } from '../../src/keys/jws.ts'
import { createSigningKey, signingAlgs } from '../../src/keys/signing_key.ts'
import { startServer } from '../_server.ts'
import { addSigner, startServerWithWeb } from './_clients.ts'

test('the JWK Set is an object with keys, each with kty, a kid of its own, and use without key_ops; no member is there twice (RFC 7517 §4, §5)', async t => {
  const server = await startServer(t)
  const { keyRing, secrets } = server.deps
  const now = server.clock.now()
  const made = await Promise.all(signingAlgs.map(alg => createSigningKey(alg, secrets, now, now)))
  const opened = await Promise.all(made.map(key => openSigningKey(key, secrets)))
  keyRing.replace([...keyRing.keys(), ...opened.map(key => key!)])

  const text = await (await fetch(`${server.url}/.well-known/jwks.json`)).text()
  const { keys, ...rest } = JSON.parse(text)

  t.deepEqual(rest, {})
  t.is(keys.length, 4)
  t.is(new Set(keys.map(({ kid }: { kid: string }) => kid)).size, 4)
  for (const key of keys) {
    t.true(['EC', 'OKP', 'RSA'].includes(key.kty))
    t.is(key.use, 'sig')
    t.false('key_ops' in key)
    t.false('x5c' in key || 'x5u' in key || 'x5t' in key || 'x5t#S256' in key)
  }
  for (const object of text.match(/\{[^{}]*\}/g)!) {
    const names = [...object.matchAll(/"([\w#]+)":/g)].map(([, name]) => name)
    t.deepEqual(names, [...new Set(names)])
  }
})

test("in a client's JWK Set, keys and members that are not understood are ignored (RFC 7517 §4, §5)", async t => {
  const server = await startServerWithWeb(t)
  const signer = await addSigner(server, { moreKeys: [{ kty: 'future', kid: 'key 2', z: 'x' }] })

  t.is((await signer.token(await signer.sign())).status, 200)
  t.is((await signer.token(await signer.sign({}, { kid: 'key 2' }))).status, 400)
  t.truthy(parseClientJwks(JSON.stringify({ keys: [{ ...signer.jwk, future: 1 }], future: 1 })))
})
