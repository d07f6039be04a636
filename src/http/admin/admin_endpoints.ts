/** What the listener of operators serves (`LATCHKEY_ADMIN_PORT`): nothing of it is on the public one. */
import type { Deps } from '../../oauth/deps.ts'
import type { Endpoint } from '../endpoint.ts'
import { healthEndpoints } from '../health_routes.ts'
import { metricsEndpoint } from './metrics_routes.ts'

/** @returns the records of the endpoints there */
export function adminEndpointsOf(deps: Deps, isStopping?: () => boolean): readonly Endpoint[] {
  return [...healthEndpoints(deps.storage, isStopping), metricsEndpoint(deps.metrics)]
}
