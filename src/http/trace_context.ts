/** Which trace a request is part of, as its sender says. W3C Trace Context, §3.2. */

/** Of version 00; later ones may have more behind it (§4). */
const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/
/** Characters; nobody adds so much. */
const maxHeader = 512

/** @returns the trace id, or undefined when the header is not a good one (§3.2.2.3: then it is ignored) */
export function traceIdOf(traceparent: string | string[] | undefined): string | undefined {
  if (typeof traceparent !== 'string' || traceparent.length > maxHeader) return undefined
  const [, version, traceId, parentId, more] = pattern.exec(traceparent) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  return /^0+$/.test(traceId!) || /^0+$/.test(parentId!) ? undefined : traceId
}
