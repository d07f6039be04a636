/**
 * What an operator's request is refused with. A front answers by the class, and has what it needs to say it in its own words: those of
 * a command line name options, those of an API members.
 */

/** Something that was given cannot be, or does not fit the rest. */
export class InvalidMember extends Error {
  override name = 'InvalidMember'
  /** As the JSON document names it; undefined for what concerns several. */
  readonly member: string | undefined
  /** What was given for it, where that is worth repeating. */
  readonly value: string | undefined
  /** Words that go on after the name of the member, or a whole sentence. */
  readonly problem: string

  constructor(member: string | undefined, problem: string, value?: string) {
    super([member, value].filter(part => part !== undefined).join(' ') + (member === undefined ? '' : ': ') + problem)
    this.member = member
    this.value = value
    this.problem = problem
  }
}

/** What the request is about is not there. */
export class NotFound extends Error {
  override name = 'NotFound'
}

/** What is there is not any more what whoever asks believes it to be. */
export class Stale extends Error {
  override name = 'Stale'
}

/** The request is a good one, and whoever asks may not ask it. */
export class BeyondScope extends Error {
  override name = 'BeyondScope'
  /** What that would take. */
  readonly scope: string

  constructor(scope: string, message: string) {
    super(message)
    this.scope = scope
  }
}

export type ConflictCode =
  | 'username_taken'
  | 'username_reserved'
  | 'email_taken'
  | 'user_disabled'
  | 'client_exists'
  | 'client_has_no_secret'
  | 'key_just_added'
  | 'too_many_webhooks'
  | 'no_old_secret'
  | 'new_secret_unused'
  | 'old_secret_used'

/** The request is a good one, and what is there does not allow it. */
export class Conflict extends Error {
  override name = 'Conflict'
  readonly code: ConflictCode

  constructor(code: ConflictCode, message: string) {
    super(message)
    this.code = code
  }
}
