/** The schemas of what the domain of passkeys says of other sites and of apps. */
import { z } from 'zod'

export const relatedOriginsResponse = z.strictObject({ origins: z.array(z.url()) }).meta({
  id: 'RelatedOrigins',
  description: 'Origins of pages. WebAuthn Level 3, §5.11.',
  examples: [{ origins: ['https://app.example.com'] }],
})

export const appleAppsResponse = z
  .strictObject({ webcredentials: z.strictObject({ apps: z.array(z.string()) }) })
  .meta({
    id: 'AppleAppSiteAssociation',
    description: 'Each app as its team, a dot and its bundle.',
    examples: [{ webcredentials: { apps: ['A1B2C3D4E5.com.example.app'] } }],
  })

export const assetLinksResponse = z
  .array(
    z.strictObject({
      relation: z.array(z.string()),
      target: z.strictObject({
        namespace: z.literal('android_app'),
        package_name: z.string(),
        sha256_cert_fingerprints: z.array(z.string()),
      }),
    }),
  )
  .meta({
    id: 'AssetLinks',
    description: 'One statement for each app. Digital Asset Links.',
    examples: [
      [
        {
          relation: ['delegate_permission/common.handle_all_urls', 'delegate_permission/common.get_login_creds'],
          target: {
            namespace: 'android_app',
            package_name: 'com.example.app',
            sha256_cert_fingerprints: [
              '14:6D:E9:83:C5:73:06:50:D8:EE:B9:95:2F:34:FC:64:16:A0:83:42:E6:1D:BE:A8:8A:04:96:B2:3F:CF:44:E5',
            ],
          },
        },
      ],
    ],
  })
