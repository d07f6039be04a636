/** The log: JSON lines on stdout, readable ones at a terminal, which never hold, end or fill the server. */
import pino, { type Logger } from 'pino'
import { formatLogLine } from './log_lines.ts'
import { printableJson } from './printable.ts'
import { createSink, type Sink } from './sink.ts'

/** @returns the log, and what writes its last lines at the end */
export function createLog(level: string): { log: Logger; flush: Sink['flush'] } {
  const sink = createSink(process.stdout, lost =>
    log.error({ lost }, 'log lines were lost: they could not be written where they go'),
  )
  const log: Logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      hooks: { streamWrite: printableJson },
    },
    // A person reads what goes to a terminal.
    process.stdout.isTTY ? { write: line => sink.write(formatLogLine(line)) } : sink,
  )
  return { log, flush: sink.flush }
}
