/** What RFC 8725 asks of a verifier of client assertions, and of an issuer of several kinds of JWTs. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import test from 'ava'
import { decodeProtectedHeader, generateKeyPair } from 'jose'
import { refusal, refused } from '../_server.ts'
import { addSigner, basic, serve, startServerWithWeb } from './_clients.ts'

const invalidClient = refused(400, 'invalid_client')

test('an assertion by another algorithm than that of its key is refused (RFC 8725 §3.1)', async t => {
  const server = await startServerWithWeb(t)
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...publicKey.export({ format: 'jwk' }), alg: 'RS256', kid: 'key 2' }
  const signer = await addSigner(server, { moreKeys: [jwk] })
  const by = async (alg: string) => signer.token(await signer.sign({}, { alg, kid: 'key 2' }, privateKey))

  t.deepEqual(refusal(await by('PS256')), invalidClient)
  t.is((await by('RS256')).status, 200)
})

test("an assertion by a key that is not the client's is refused, whatever its header offers (RFC 8725 §3.8, §3.10)", async t => {
  const server = await startServerWithWeb(t)
  const signer = await addSigner(server)
  let asked = 0
  const jku = await serve(t, (_request, response) => {
    asked++
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [] }))
  })
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const offered = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'key 1' }

  for (const header of [{}, { jwk: offered }, { jku }, { x5u: jku }, { kid: undefined }]) {
    t.deepEqual(refusal(await signer.token(await signer.sign({}, header, privateKey))), invalidClient)
  }
  for (const kid of ["' OR 1=1 --", '../../etc/passwd', '__proto__', 'x'.repeat(5000)]) {
    t.deepEqual(refusal(await signer.token(await signer.sign({}, { kid }))), invalidClient, kid)
  }
  t.is(asked, 0)
  t.is((await signer.token(await signer.sign({}, { jku }))).status, 200)
  t.is(asked, 0)
})

test('what is not UTF-8 in an assertion is refused, what is passes (RFC 8725 §3.7)', async t => {
  const server = await startServerWithWeb(t)
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...key.publicKey.export({ format: 'jwk' }), alg: 'RS256', kid: 'key 2' }
  const signer = await addSigner(server, { moreKeys: [jwk] })
  const token = (encoding: BufferEncoding) => {
    const claims = Buffer.from(JSON.stringify({ ...signer.claims(), name: 'Zoë' }), encoding)
    return signer.token(signWith(key.privateKey, { alg: 'RS256', kid: 'key 2' }, claims))
  }

  t.deepEqual(refusal(await token('utf16le')), invalidClient)
  t.deepEqual(refusal(await token('latin1')), invalidClient)
  t.is((await token('utf8')).status, 200)
})

test('each kind of JWT has its own type, and none is taken for another (RFC 8725 §2.8, §3.11, §3.12)', async t => {
  const server = await startServerWithWeb(t)
  const signer = await addSigner(server)
  const signIn = (await server.signInWeb()) as Awaited<ReturnType<typeof server.signInWeb>> & { id_token: string }
  const accept = { accept: 'application/token-introspection+jwt' }
  const introspection: string = (await server.introspect(signIn.access_token, {}, accept)).body
  const assertion = await signer.sign()
  const kinds = { accessToken: signIn.access_token, idToken: signIn.id_token, introspection }

  const types = Object.values(kinds).map(jwt => decodeProtectedHeader(jwt).typ)
  t.deepEqual(types, ['at+jwt', 'JWT', 'token-introspection+jwt'])
  for (const jwt of [kinds.idToken, introspection, assertion]) {
    t.deepEqual(refusal(await server.me(jwt)), refused(401, 'invalid_token'))
    t.deepEqual((await server.introspect(jwt)).body, { active: false })
    await server.post('/revoke', { token: jwt }, basic('web'))
  }
  for (const jwt of Object.values(kinds)) t.deepEqual(refusal(await signer.token(jwt)), invalidClient)
  t.is((await server.me(kinds.accessToken)).status, 200)
  t.is((await signer.token(assertion)).status, 200)
})

/** Not with jose, which encodes claims as UTF-8. */
function signWith(key: KeyObject, header: object, claims: Buffer): string {
  const signed = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${claims.toString('base64url')}`
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
}
