/** Changes of a JSON document: RFC 7396, and plain JSON of the same form. */
import { OAuthError } from '../error.ts'
import type { Context } from './context.ts'
import type { BodyReader } from './endpoint.ts'
import { jsonType, mergePatchType } from './media_types.ts'
import { refuseCredentialsInQuery, textReader } from './params.ts'

const readText = textReader(16 * 1024)

/** An object of what its handler reads. */
export const mergePatchBody: BodyReader = { types: [mergePatchType, jsonType], required: true, read: readMergePatch }

async function readMergePatch(ctx: Context): Promise<void> {
  if (!ctx.is(jsonType, mergePatchType))
    throw new OAuthError('invalid_request', `the body must be ${mergePatchType} or ${jsonType}`)
  refuseCredentialsInQuery(ctx)
  await readText(ctx)
  // Bytes that are not UTF-8 have become this character by now.
  if (String(ctx.request.body ?? '').includes('\ufffd'))
    throw new OAuthError('invalid_request', 'the body is not UTF-8')
}
