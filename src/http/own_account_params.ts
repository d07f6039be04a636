/** The parameters of what users do with their own account: what reads a request is what its documentation is made of. */
import { z } from 'zod'
import { deletionTimes } from '../accounts/deletion.ts'
import { languages } from '../pages/language.ts'

/** For `PATCH /users/me`, RFC 7396: what is absent stays, null removes. */
export const profileChange = z
  .strictObject({
    full_name: z.string().nullable().optional(),
    username: z
      .string()
      .optional()
      .meta({ description: 'Once a day. The one before is kept for its user for 90 days.' }),
    language: z
      .enum(languages)
      .nullable()
      .optional()
      .meta({ description: 'Of pages and mails; null for what the browser asks for.' }),
  })
  .refine(members => Object.keys(members).length > 0, { error: 'name what is to change' })
  .meta({ id: 'ProfileChange', examples: [{ full_name: 'Alice', language: 'ko' }, { username: 'alice2' }] })

/** For `DELETE /users/me`. */
export const deletionQuery = z.object({
  when: z.enum(deletionTimes).optional().meta({
    description: '`later`, as if it were left out: disabled now, and gone after seven days. `now`: gone at once.',
  }),
})

/** For the form of `/profile/edit`. */
export const profileForm = z
  .object({
    full_name: z.string().optional(),
    language: z
      .enum(['', ...languages])
      .optional()
      .meta({ description: 'Nothing for what the browser asks for.' }),
  })
  .meta({ examples: [{ full_name: 'Alice', language: 'ko' }] })

/** For the form of `/profile/username`. */
export const usernameForm = z.object({ username: z.string().optional() }).meta({ examples: [{ username: 'alice2' }] })

/** For the form of `/profile/delete`. */
export const deletionForm = z
  .object({
    when: z.enum(deletionTimes),
    sure: z.string().optional().meta({ description: 'Anything: it is meant.' }),
  })
  .meta({ examples: [{ when: 'later', sure: 'yes' }] })

/** For the form of the page that takes a deletion back: its button is all. */
export const keepAccountForm = z.object({}).meta({ examples: [{}] })
