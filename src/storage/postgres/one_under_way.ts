/**
 * Asks a question that many have at once as seldom as an answer that is not older than the question allows: sending a query costs the node as
 * much as a third of a refresh. Whoever asks while the query is under way gets the answer of the next one, together with all others.
 */

/** `isOpen` until the turn of the event loop ends: what is asked in the same turn is the same question. */
type Asked<T> = { answer: Promise<T>; isOpen: boolean; next: Promise<T> | undefined }

/** @param query its failure is also that of whoever waits for the next one: nobody waits for trouble twice */
export function oneUnderWay<T>(query: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const underWay = new Map<string, Asked<T>>()

  function ask(key: string): Promise<T> {
    const asked: Asked<T> = { answer: query(key), isOpen: true, next: undefined }
    underWay.set(key, asked)
    setImmediate(() => {
      asked.isOpen = false
    })
    // Before the next one is asked, which was registered later.
    const forget = () => underWay.delete(key)
    asked.answer.then(forget, forget)
    return asked.answer
  }

  return key => {
    const asked = underWay.get(key)
    if (asked === undefined) return ask(key)
    if (asked.isOpen) return asked.answer
    asked.next ??= asked.answer.then(() => ask(key))
    return asked.next
  }
}
