/** What the listener of operators serves (`LATCHKEY_ADMIN_PORT`): nothing of it is on the public one. */
import type { AdminDeps } from '../../admin/deps.ts'
import type { SigningAlg } from '../../keys/signing_key.ts'
import type { Deps } from '../../oauth/deps.ts'
import { docsEndpoints } from '../docs/docs_routes.ts'
import type { Endpoint } from '../endpoint.ts'
import { healthEndpoints } from '../health_routes.ts'
import { type AdminSurroundings, createAdminEndpoints } from './admin_endpoint.ts'
import { auditEndpoints } from './audit_endpoints.ts'
import { clientEndpoints } from './client_endpoints.ts'
import { keyEndpoints } from './key_endpoints.ts'
import { metricsEndpoint } from './metrics_routes.ts'
import { sessionEndpoints } from './session_endpoints.ts'
import { userEndpoints } from './user_endpoints.ts'
import { webhookEndpoints } from './webhook_endpoints.ts'

export type AdminSettings = Readonly<{
  // What of the server's own bears on what operators make.
  privateJwksUris: boolean
  privateWebhooks: boolean
  signingAlg: SigningAlg
  /** Whether it is about to stop: it is not ready then. */
  isStopping?: () => boolean
}>

/** @returns the records of the endpoints there */
export function adminEndpointsOf(deps: Deps, settings: AdminSettings): readonly Endpoint[] {
  const { privateJwksUris, privateWebhooks, signingAlg, isStopping } = settings
  const { storage, passwords, now, randomBytes, config } = deps
  const adminDeps: AdminDeps = {
    storage,
    passwords,
    passwordSettings: config,
    now,
    randomBytes,
    secrets: async () => deps.secrets,
  }
  const surroundings: AdminSurroundings = {
    deps: adminDeps,
    server: { audience: config.audience, privateJwksUris },
    links: config,
    privateWebhooks,
    signingAlg,
    endpoint: createAdminEndpoints(deps),
  }
  const endpoints = [
    ...userEndpoints(surroundings),
    ...sessionEndpoints(surroundings),
    ...clientEndpoints(surroundings),
    ...keyEndpoints(surroundings),
    ...auditEndpoints(surroundings),
    ...webhookEndpoints(surroundings),
    ...healthEndpoints(storage, isStopping),
    metricsEndpoint(deps.metrics),
  ]
  return [...endpoints, ...docsEndpoints(deps, false, endpoints, 'admin')]
}
