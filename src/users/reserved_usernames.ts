/** Usernames that were somebody's: who was known by one is not to be mistaken for whoever comes after. */
import { usernameFold } from '../text.ts'
import type { User } from './user.ts'

/** Seconds that a username which is given up stays that of its former owner, who may take it back. */
export const reservationLifetime = 90 * 86_400
/** Seconds between two changes of a username by its user. */
export const renameInterval = 86_400

/** In the form in which new usernames are compared. */
export type ReservedUsername = Readonly<{ fold: string; userId: string; until: number }>

/** @param at when it is given up, in seconds since the epoch */
export function reserveUsername({ id, username }: Pick<User, 'id' | 'username'>, at: number): ReservedUsername {
  return { fold: usernameFold(username), userId: id, until: at + reservationLifetime }
}

/** What is known of a username that a user wants, at the moment of the change. */
export type WantedUsername = Readonly<{
  /** Whether another user has it, or may have it back. */
  isTaken: boolean
  /** When the user had another one last; undefined where nobody remembers. */
  renamedAt: number | undefined
}>

/** Where there is no such user. */
export const wantedByNobody: WantedUsername = { isTaken: false, renamedAt: undefined }
