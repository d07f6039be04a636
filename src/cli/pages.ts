/** Lists of any length: read and printed page by page, so that memory holds one page. */
import { once } from 'node:events'
import { formatJson } from '../printable.ts'
import { print, table } from './run.ts'

/** Rows of a page. */
const pageSize = 1000

type Row = readonly (string | number | undefined)[]

/**
 * Prints a list: one JSON array, or one table whose columns are as wide as those of each page need.
 *
 * @param limit   how many to print at most
 * @param below   lines of a row that follow it in the table
 * @param nextPage the page after the last one given, undefined for the first; shorter than asked for at the end
 */
export async function outputPages<T>(
  options: { json?: true },
  limit: number,
  nextPage: (last: T | undefined, size: number) => Promise<readonly T[]>,
  {
    headings,
    row,
    below = () => [],
  }: Readonly<{ headings: readonly string[]; row: (one: T) => Row; below?: (one: T) => readonly string[] }>,
): Promise<void> {
  let last: T | undefined
  let printed = 0
  let page: readonly T[]
  let size: number
  do {
    size = Math.min(pageSize, limit - printed)
    page = await nextPage(last, size)
    if (options.json) {
      for (const [i, one] of page.entries()) await printOn(`${printed + i === 0 ? '[' : ','}${formatJson(one)}`)
    } else if (printed === 0 || page.length > 0) {
      const [heading, ...rows] = table(headings, page.map(row)).split('\n')
      const lines = rows.flatMap((line, i) => [line, ...below(page[i]!)])
      await printOn(`${[...(printed === 0 ? [heading] : []), ...lines].join('\n')}\n`)
    }
    printed += page.length
    last = page.at(-1)
  } while (page.length === size && printed < limit)
  if (options.json) await printOn(printed === 0 ? '[]\n' : ']\n')
}

async function printOn(text: string): Promise<void> {
  if (!print(text)) await once(process.stdout, 'drain')
}
