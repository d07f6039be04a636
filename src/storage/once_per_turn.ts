/**
 * Answers what is asked again in the same turn of the event loop without another query: requests that arrive together are mostly of one
 * client, and a query takes and gives back a lock of SQLite's.
 */
export function oncePerTurn<T>(query: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const answers = new Map<string, Promise<T>>()
  return key => {
    const known = answers.get(key)
    if (known !== undefined) return known
    if (answers.size === 0) setImmediate(() => answers.clear())
    const answer = query(key)
    answers.set(key, answer)
    return answer
  }
}
