/** What users get of their own account, on the wire. */
import { z } from 'zod'
import type { AccountExport } from '../accounts/data_export.ts'
import { languages } from '../pages/language.ts'
import { factorResponse } from './factor_schemas.ts'

const at = 1_795_466_796
const sessionId = 'kAWJakA4hC_xciRQrw5ywg'
const instant = z
  .int()
  .nonnegative()
  .meta({ description: 'Seconds since 1970.', examples: [at] })
const languageTag = z
  .enum(languages)
  .nullable()
  .meta({ description: 'Of pages and mails, BCP 47; null for what the browser asks for.' })

export const userResponse = z
  .strictObject({
    username: z.string(),
    email: z.string().nullable(),
    email_verified: z.boolean(),
    full_name: z.string().nullable(),
    language: languageTag,
  })
  .meta({
    id: 'User',
    examples: [
      { username: 'alice', email: 'alice@example.com', email_verified: true, full_name: 'Alice', language: null },
    ],
  })

export const deletionResponse = z
  .strictObject({
    delete_at: instant.meta({ description: 'When the account is gone, in seconds since 1970.' }),
    mailed: z.boolean().meta({ description: 'Whether a mail with a link that undoes it is on its way.' }),
  })
  .meta({ examples: [{ delete_at: at + 7 * 86_400, mailed: true }] })

/** For the form of `/profile/delete`; nothing of what is gone already. */
export const deletionFormResponse = z
  .strictObject({ delete_at: instant.optional(), mailed: z.boolean().optional() })
  .meta({ examples: [{ delete_at: at + 7 * 86_400, mailed: true }, {}] })

const truncated = z.boolean().meta({ description: 'Whether there are older ones, which are left out.' })

const account = {
  sub: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  email_verified: z.boolean(),
  full_name: z.string().nullable(),
  language: languageTag,
  roles: z.array(z.string()),
  has_password: z.boolean(),
  created_at: instant,
} satisfies Record<keyof AccountExport['account'], z.ZodType>

const session = {
  id: z.string(),
  current: z.boolean(),
  client_id: z.string(),
  device: z.string().nullable(),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  scope: z.string(),
  amr: z.array(z.string()),
  created_at: instant,
  last_seen_at: instant,
  expires_at: instant,
  ended_at: instant.nullable(),
} satisfies Record<keyof AccountExport['sessions'][number], z.ZodType>

const event = {
  at: instant,
  type: z.string(),
  client_id: z.string().nullable(),
  session_id: z.string().nullable(),
  ip: z.string().nullable(),
  count: z.int().positive(),
} satisfies Record<keyof AccountExport['events'][number], z.ZodType>

export const accountExportResponse = z
  .strictObject({
    exported_at: instant,
    account: z.strictObject(account),
    factors: z.array(factorResponse),
    clients: z.array(z.strictObject({ client_id: z.string(), client_name: z.string() })),
    sessions: z.array(z.strictObject(session)).meta({ description: 'The newest first, of which some have ended.' }),
    sessions_truncated: truncated,
    events: z
      .array(z.strictObject(event))
      .meta({ description: 'What the audit trail has of the user, the newest first.' }),
    events_truncated: truncated,
  } satisfies Record<keyof AccountExport, z.ZodType>)
  .meta({
    id: 'AccountExport',
    examples: [
      {
        exported_at: at,
        account: {
          sub: 'usr_517uqrZdsCJBbGU-WPpE5g',
          username: 'alice',
          email: 'alice@example.com',
          email_verified: true,
          full_name: 'Alice',
          language: null,
          roles: [],
          has_password: true,
          created_at: at,
        },
        factors: [],
        clients: [{ client_id: 'app', client_name: 'Example' }],
        sessions: [
          {
            id: sessionId,
            current: true,
            client_id: 'app',
            device: "Alice's phone",
            ip: '203.0.113.7',
            user_agent: 'ExampleApp/1.0',
            scope: 'read write',
            amr: ['pwd'],
            created_at: at,
            last_seen_at: at,
            expires_at: at + 2_592_000,
            ended_at: null,
          },
        ],
        sessions_truncated: false,
        events: [{ at, type: 'session.created', client_id: 'app', session_id: sessionId, ip: '203.0.113.7', count: 1 }],
        events_truncated: false,
      },
    ],
  })
