/** What RFC 9068 asks and no other test shows. */
import test from 'ava'
import { decodeJwt } from 'jose'
import { isClientId } from '../../src/clients/client.ts'
import { issuer } from '../_server.ts'
import { basic, secret, startServerWithWeb } from './_clients.ts'

test('no client id can be taken for the sub of a user (RFC 9068 §5, RFC 9700 §4.15.1)', async t => {
  const server = await startServerWithWeb(t)

  const { sub } = decodeJwt((await server.signIn()).access_token)

  t.is(sub, server.aliceId)
  t.regex(sub ?? '', /^usr_/)
  t.false(isClientId(sub ?? ''))
  t.false(isClientId('usr_'))
  t.true(isClientId('user'))
  t.true(isClientId('a.usr_'))
})

test('without resource a token is for the default audience, and clients of different resources get different ones (RFC 9068 §3, §5)', async t => {
  const server = await startServerWithWeb(t)
  const grantTypes = ['client_credentials']
  await server.addClient({ id: 'a', secret, grantTypes, audience: ['https://a.example.com'] })
  await server.addClient({ id: 'b', secret, grantTypes, audience: ['https://b.example.com'] })
  const audienceOf = async (id: string) =>
    decodeJwt((await server.token({ grant_type: 'client_credentials' }, basic(id))).body.access_token).aud

  t.is(await audienceOf('web'), issuer)
  t.is(await audienceOf('a'), 'https://a.example.com')
  t.is(await audienceOf('b'), 'https://b.example.com')
})
