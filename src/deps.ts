/** Puts together what requests need: for the server as for a test. */
import { createRefusals } from './audit/refusals.ts'
import { createRemoteJwks } from './clients/remote_jwks.ts'
import type { OpenedKey } from './keys/jws.ts'
import { createKeyRing } from './keys/key_ring.ts'
import type { MasterSecrets } from './keys/master_secret.ts'
import type { Deps } from './oauth/deps.ts'
import { noObserver } from './observer.ts'
import { latchkey } from './pages/brand.ts'

type Given = Pick<Deps, 'config' | 'storage' | 'passwords' | 'throttle' | 'now' | 'randomBytes'> &
  Readonly<{
    /** Asked each time: they are replaced when their file is. */
    secrets: () => MasterSecrets
    keys: readonly OpenedKey[]
    privateJwksUris: boolean
  }> &
  Partial<Pick<Deps, 'observer' | 'metrics' | 'brand'>>

export function createDeps({ secrets, keys, privateJwksUris, ...given }: Given): Deps {
  return {
    observer: noObserver,
    brand: latchkey,
    metrics: async () => '',
    ...given,
    get secrets() {
      return secrets()
    },
    keyRing: createKeyRing(keys),
    refusals: createRefusals(given.storage, given.now),
    remoteJwks: createRemoteJwks(privateJwksUris),
  }
}
