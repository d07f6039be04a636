/** A machine whose power can be cut, whose disk can fail and whose clock can be set, for the real program. See _machine.c. */
import { spawnSync } from 'node:child_process'
import { closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { createFolder, type Environment } from './_process.ts'

const libraryFolder = mkdtempSync(join(tmpdir(), 'latchkey-machine-'))
const library = join(libraryFolder, 'machine.so')
process.once('exit', () => rmSync(libraryFolder, { recursive: true, force: true }))

/** Whether this machine can play another: Linux with a C compiler. */
export const canPlayMachine =
  process.platform === 'linux' &&
  spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, join(import.meta.dirname, '_machine.c'), '-ldl'])
    .status === 0

/** What of a file is there after the power cut: what its last sync left, or all that was written. */
export type Survival = 'synced' | 'written'

/** @param folder where the database is */
export function createMachine(t: ExecutionContext, folder: string) {
  const own = createFolder(t)
  const image = join(own, 'image')
  const control = join(own, 'control')
  mkdirSync(image)
  const values = Buffer.alloc(16)
  const descriptor = openSync(control, 'w')
  t.teardown(() => closeSync(descriptor))
  writeSync(descriptor, values, 0, 16, 0)
  const set = (index: 0 | 1, value: number) => {
    values.writeBigInt64LE(BigInt(value), index * 8)
    writeSync(descriptor, values, 0, 16, 0)
  }

  const environment: Environment = {
    LD_PRELOAD: library,
    MACHINE_FOLDER: folder,
    MACHINE_IMAGE: image,
    MACHINE_CONTROL: control,
  }
  return {
    environment,
    /** @param seconds that the clock is ahead, negative: behind */
    setClock: (seconds: number) => set(0, seconds),
    /** The folder with what of each file is on the disk for certain. */
    image,
    /** Every write to the database fails from now on; `undefined`: no longer. */
    failWrites: (error: 'EIO' | 'ENOSPC' | 'EROFS' | undefined) =>
      set(1, error === undefined ? 0 : constants.errno[error]),
    /**
     * Once the process is gone: leaves of the database and of its write-ahead log what survives. The shared memory beside them
     * never does.
     */
    cutPower(file: string, survives: Readonly<{ database: Survival; log: Survival }>) {
      rmSync(`${file}-shm`, { force: true })
      for (const [suffix, survival] of [
        ['', survives.database],
        ['-wal', survives.log],
      ] as const) {
        const synced = join(image, basename(file) + suffix)
        // What is on the disk when the machine starts again is what the next cut leaves at least.
        if (survival === 'synced') replaceFile(synced, file + suffix)
        else replaceFile(file + suffix, synced)
      }
    },
  }
}

function replaceFile(source: string, target: string): void {
  rmSync(target, { force: true })
  if (existsSync(source)) copyFileSync(source, target)
}
