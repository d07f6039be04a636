/** Signing keys, as `latchkey key` has them. */
import { listKeys, rotateKey } from '../../admin/keys.ts'
import { ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { jsonType } from '../media_types.ts'
import type { AdminSurroundings } from './admin_endpoint.ts'

export function keyEndpoints({ deps, signingAlg, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'listKeys',
      method: 'get',
      path: '/admin/keys',
      scope: 'admin:keys:read',
      // Never more than a few: retired ones are removed.
      handle: async () => ({ document: { keys: await listKeys(deps) } }),
      describe: ({ keysDocument }) => ({
        tag: 'Keys',
        summary: 'List the signing keys and what each is at the moment',
        answers: ok('The keys.', { [jsonType]: keysDocument }),
      }),
    }),
    endpoint({
      id: 'rotateKey',
      method: 'post',
      path: '/admin/keys/rotate',
      scope: 'admin:keys',
      once: true,
      handle: async ({ actor }) => ({ document: await rotateKey(deps, signingAlg, actor) }),
      describe: ({ keyDocument }) => ({
        tag: 'Keys',
        summary: 'Add a signing key: published at once, signing when every cache has seen it',
        answers: ok('The key.', { [jsonType]: keyDocument }),
        errors: { key_just_added: 'another process has just added a key' },
      }),
    }),
  ]
}
