/**
 * The messages of PostgreSQL's protocol out of the bytes of one direction of a connection, as far as a proxy must read them
 * (PostgreSQL documentation, "Message Formats"). Each has a letter, its length, and its body; the first ones of a client have no letter.
 */

/** Codes that stand where a start-up message has its protocol version. */
const requests = { ssl: 80_877_103, gss: 80_877_104, cancel: 80_877_102 }

export type Frame = Readonly<{ type: string; body: Buffer; bytes: Buffer }>

/**
 * @param isClient whether these are the client's bytes
 * @returns takes bytes as they come; answers the messages that are whole now
 */
export function createFrameReader(isClient: boolean): (chunk: Buffer) => Frame[] {
  let pending: Buffer = Buffer.alloc(0)
  let isStarting = isClient
  return chunk => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    const frames: Frame[] = []
    for (;;) {
      const letters = isStarting ? 0 : 1
      if (pending.length < letters + 4) return frames
      const end = letters + pending.readInt32BE(letters)
      if (pending.length < end) return frames
      const bytes = pending.subarray(0, end)
      const body = bytes.subarray(letters + 4)
      if (isStarting) {
        const code = body.readInt32BE(0)
        // These two are answered by one byte, and the start-up message follows.
        const isQuestion = code === requests.ssl || code === requests.gss
        frames.push({ type: isQuestion ? 'question' : code === requests.cancel ? 'cancel' : 'start', body, bytes })
        isStarting = isQuestion
      } else {
        frames.push({ type: String.fromCharCode(bytes[0]!), body, bytes })
      }
      pending = pending.subarray(end)
    }
  }
}

/** The SQL of a client's Query or Parse message; undefined for any other. */
export function statementOf({ type, body }: Frame): string | undefined {
  if (type === 'Q') return body.toString('utf8', 0, body.length - 1)
  if (type !== 'P') return undefined
  const start = body.indexOf(0) + 1
  return body.toString('utf8', start, body.indexOf(0, start))
}

/** The tag of a server's CommandComplete message, such as `COMMIT` or `UPDATE 1`; undefined for any other. */
export function commandTagOf({ type, body }: Frame): string | undefined {
  return type === 'C' ? body.toString('utf8', 0, body.length - 1) : undefined
}
