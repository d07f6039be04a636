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

/** Resident memory in MiB: now, and the most that it ever was. */
export function readMemory(pid: number): { resident: number; peak: number } {
  const status = read(`/proc/${pid}/status`)
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return { resident: field('VmRSS'), peak: field('VmHWM') }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
