import { z } from 'zod'

/** How a client that does not use HTTP Basic says who it is: RFC 6749 §2.3.1, RFC 7523 §2.2. */
export const clientParams = {
  client_id: z
    .string()
    .optional()
    .meta({ description: 'Needed unless the client authenticates by HTTP Basic or an assertion.', examples: ['app'] }),
  client_secret: z.string().optional().meta({ description: 'For `client_secret_post`.' }),
  client_assertion: z.string().optional().meta({ description: 'For `private_key_jwt`: a JWT of the client.' }),
  client_assertion_type: z.literal('urn:ietf:params:oauth:client-assertion-type:jwt-bearer').optional(),
}
