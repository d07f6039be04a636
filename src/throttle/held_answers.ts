/** Answers that are held back until a moment that says nothing of what was done meanwhile. */
export type HeldAnswers = Readonly<{
  /**
   * @param milliseconds from now; a time that has passed is now
   * @param then run at that moment; the answer waits for it
   * @returns undefined when too many are held already
   */
  hold: (milliseconds: number, then: () => void | Promise<void>) => Promise<void> | undefined
}>

/** At once: each is a request under way, and a flood of two thousand refusals a second holds fewer. */
const most = 4096

export function createHeldAnswers(): HeldAnswers {
  let held = 0
  return {
    hold(milliseconds, then) {
      if (held >= most) return undefined
      held++
      // After one more turn of the event loop, for what is done and was not looked at yet.
      const due = new Promise<unknown>(resolve => setTimeout(() => setImmediate(resolve), Math.max(0, milliseconds)))
      return due.then(() => {
        held--
        return then()
      })
    },
  }
}
