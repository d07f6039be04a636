/** Log lines as a person at a terminal reads them. */
import { printable } from './printable.ts'

const levels: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
}

/**
 * @param json one line of the log, with its line break
 * @returns one line, and those of a stack below it
 */
export function formatLogLine(json: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(json) as Record<string, unknown>
  const clock = String(time).slice(11, 19)
  const facts = Object.entries(rest).map(([name, value]) => `${printable(name)}=${formatValue(value)}`)
  const { message, stack } = (err ?? {}) as { message?: unknown; stack?: unknown }
  const words = [
    clock,
    levels[Number(level)]?.padEnd(5) ?? String(level),
    printable(String(msg ?? message ?? '')),
    ...facts,
  ]
  const below = typeof stack === 'string' ? stack.split('\n').map(line => `\n    ${printable(line)}`) : []
  return `${words.join(' ')}${below.join('')}\n`
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return printable(/^[^\s"=]+$/.test(text) ? text : typeof value === 'string' ? JSON.stringify(value) : text)
}
