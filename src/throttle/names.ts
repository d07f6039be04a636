/** Names of one size for what is counted, which tell nothing without the master secret: people type passwords where names belong. */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { toNfc } from '../normal_form.ts'

/** @param deps `secrets` are asked each time: all nodes have to call one thing by one name, also once an old secret is gone */
export function createNames(
  deps: Readonly<{ secrets: MasterSecrets; randomBytes: (size: number) => Buffer }>,
): Readonly<{ digest: (...parts: readonly string[]) => string; guessOf: (text: string) => string }> {
  const guessKey = createSecretKey(deps.randomBytes(32))
  return {
    // The oldest, so that putting a new one before it forgets nobody.
    digest: (...parts) => mac(deps.secrets.at(-1)!.throttleKey, parts),
    /** What was typed as a password is compared under a key that no file ever holds. */
    guessOf: text => mac(guessKey, [toNfc(text)]),
  }
}

function mac(key: KeyObject, parts: readonly string[]): string {
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
}
