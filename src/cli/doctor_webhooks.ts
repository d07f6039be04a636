/** What the doctor finds of webhooks. */
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { Storage } from '../storage/storage.ts'
import { openWebhookSecret } from '../webhooks/signature.ts'
import { type Finding, ok, warning } from './findings.ts'
import { formatTime } from './run.ts'

/** Nothing where there is none: most deployments have none. */
export async function examineWebhooks(storage: Storage, secrets: MasterSecrets): Promise<Finding[]> {
  const webhooks = await storage.listWebhooks()
  if (webhooks.length === 0) return []
  const lost = webhooks.filter(
    ({ id, secrets: sealed }) => !sealed.some(one => openWebhookSecret(one, id, secrets) !== undefined),
  )
  const troubles = [
    ...lost.map(({ id }) =>
      warning(
        'webhooks',
        `the secret of ${id} is under a master secret that is gone`,
        `bring it back, or run latchkey webhook rotate-secret ${id}`,
      ),
    ),
    ...webhooks
      .filter(({ failedAt }) => failedAt !== undefined)
      .map(({ id, lastError }) =>
        warning(
          'webhooks',
          `${id} was given up, and gets nothing: ${lastError}`,
          `mend its receiver, then run latchkey webhook enable ${id}`,
        ),
      ),
    ...webhooks
      .filter(
        ({ failedAt, disabledAt, attempts }) => failedAt === undefined && disabledAt === undefined && attempts > 0,
      )
      .map(({ id, attempts, failingSince, lastError }) =>
        warning(
          'webhooks',
          `${id} takes nothing since ${formatTime(failingSince)}, ${attempts} attempts: ${lastError}`,
          'look at its receiver: after three days it is given up',
        ),
      ),
  ]
  return troubles.length > 0 ? troubles : [ok('webhooks', `${webhooks.length}`)]
}
