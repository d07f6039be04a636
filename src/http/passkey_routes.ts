/**
 * What the domain of passkeys says of other sites and of apps, for browsers and the systems of phones: who may use its passkeys. Fetched by
 * them, from its root, without cookies.
 */
import { OAuthError } from '../error.ts'
import type { RelyingParty } from '../users/factors/relying_party.ts'
import { cacheable } from './cache.ts'
import { type Description, notModified, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonType } from './media_types.ts'

const places = {
  relatedOrigins: '/.well-known/webauthn',
  appleApps: '/.well-known/apple-app-site-association',
  androidApps: '/.well-known/assetlinks.json',
} as const

type Place = keyof typeof places

export function passkeyEndpoints(relyingParty: RelyingParty | undefined): readonly Endpoint[] {
  const endpointOf = (
    place: Place,
    document: (relyingParty: RelyingParty) => object,
    describe: (...given: Parameters<Endpoint['describe']>) => Pick<Description, 'summary' | 'description' | 'answers'>,
  ): Endpoint => {
    const isSet = relyingParty !== undefined && relyingParty[place].length > 0
    const text = isSet ? JSON.stringify(document(relyingParty)) : undefined
    return {
      id: place,
      method: 'get',
      path: places[place],
      caller: 'open',
      cors: 'public',
      handle(ctx) {
        if (text === undefined) throw new OAuthError('not_found', 'nothing is set for this place')
        cacheable(ctx, text, jsonType)
      },
      describe: schemas => ({
        tag: 'Discovery',
        ...describe(schemas),
        errors: { not_found: 'nothing is set for this place' },
      }),
    }
  }
  return [
    endpointOf(
      'relatedOrigins',
      ({ relatedOrigins }) => ({ origins: relatedOrigins }),
      ({ relatedOriginsResponse }) => ({
        summary: 'Other sites that may use the passkeys',
        description: 'From `LATCHKEY_PASSKEY_ORIGINS`. WebAuthn Level 3, §5.11.',
        answers: found(relatedOriginsResponse),
      }),
    ),
    endpointOf(
      'appleApps',
      ({ appleApps }) => ({ webcredentials: { apps: appleApps } }),
      ({ appleAppsResponse }) => ({
        summary: "Apps of Apple's systems that may use the passkeys",
        description: 'From `LATCHKEY_APPLE_APPS`. Associated Domains.',
        answers: found(appleAppsResponse),
      }),
    ),
    endpointOf(
      'androidApps',
      ({ androidApps }) => assetLinks(androidApps),
      ({ assetLinksResponse }) => ({
        summary: 'Apps of Android that may use the passkeys',
        description: 'From `LATCHKEY_ANDROID_APPS`. Digital Asset Links.',
        answers: found(assetLinksResponse),
      }),
    ),
  ]
}

function found(schema: Parameters<typeof ok>[1][string]): Description['answers'] {
  return { ...ok('Who may.', { [jsonType]: schema }, 'ETag', 'Cache-Control'), ...notModified }
}

/** Both relations in one statement: Android wants them together, and finds no passkeys without. */
function assetLinks(apps: RelyingParty['androidApps']) {
  return [...Map.groupBy(apps, ({ packageName }) => packageName)].map(([packageName, certificates]) => ({
    relation: ['delegate_permission/common.handle_all_urls', 'delegate_permission/common.get_login_creds'],
    target: {
      namespace: 'android_app',
      package_name: packageName,
      sha256_cert_fingerprints: certificates.map(({ fingerprint }) => fingerprint),
    },
  }))
}
