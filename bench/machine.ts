/** What the operating system says about a process. Linux only: elsewhere the figures are NaN and shown as a dash. */
import { readFileSync } from 'node:fs'

/** USER_HZ: 100 on every architecture that Node runs on. */
const ticksPerSecond = 100

/** User and system time of all threads of a process. */
export function readCpuSeconds(pid: number): number {
  // The second field is the program's name in parentheses and may have spaces; utime and stime are 14th and 15th.
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11] ?? Number.NaN) + Number(fields[12] ?? Number.NaN)) / ticksPerSecond
}

/** {@link readCpuSeconds}, of a process and all that it has started, those that have ended included. */
export function readTreeCpuSeconds(pid: number): number {
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ')
  const ended = (Number(fields[13]) + Number(fields[14])) / ticksPerSecond
  const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number)
  return children.reduce((sum, child) => sum + readTreeCpuSeconds(child), readCpuSeconds(pid) + ended)
}

/** Resident memory in MB, of 1,000,000 bytes. */
export function readMemory(pid: number): number {
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1]) * 1024) / 1e6
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
