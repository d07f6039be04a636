/**
 * The cause of a `temporarily_unavailable` after which nobody knows whether the database has done what it was told: the answer to a
 * commit was lost. Who asks again sees what it did, but for what may be done once only.
 */
export class OutcomeUnknown extends Error {
  override name = 'OutcomeUnknown'
}
