/** Roles: what resource servers let a user do, by names that only they give a meaning (RFC 9068 §2.2.3.1). */
import type { Reading } from '../text.ts'

/** With names of full length some 4 kB of an access token, which is a header of every request to an API. */
export const maxRoles = 50
export const maxRole = 64

/** Printable ASCII without what lists and headers would have to quote: spaces, quotes, commas, backslashes. */
const rolePattern = /^[\x21\x23-\x26\x28-\x2b\x2d-\x5b\x5d-\x7e]+$/

const isRole = (text: string) => text.length <= maxRole && rolePattern.test(text)

/** Reads the names of a user's roles, each once. What it answers has spaces between them, as they are stored; none is ''. */
export function readRoles(given: readonly string[]): Reading {
  if (given.length <= maxRoles && given.every(isRole)) return { text: [...new Set(given)].join(' ') }
  return {
    problem: `takes at most ${maxRoles} names of 1 to ${maxRole} printable ASCII characters without spaces, quotes, commas and backslashes`,
  }
}

/** What a record has for the text of {@link readRoles}: nothing where there is none. */
export function rolesFromText(text: string): readonly string[] | undefined {
  return text === '' ? undefined : text.split(' ')
}
