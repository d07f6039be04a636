/** RFC 8707, Resource Indicators. */
import { bindsClients, type Row } from './_row.ts'

export const rfc8707: readonly Row[] = [
  {
    section: '2',
    level: 'MUST',
    requirement: '`resource` is an absolute URI',
    test: 'oauth › resource › *: one that is relative, though the audience has it is invalid_target, and nothing is used up (RFC 8707 §2)',
  },
  {
    section: '2',
    level: 'MUST NOT',
    requirement: '`resource` with a fragment',
    test: 'oauth › resource › *: one with a fragment, though the audience has it is invalid_target, and nothing is used up (RFC 8707 §2)',
  },
  {
    section: '2',
    level: 'SHOULD NOT',
    requirement: '`resource` with a query',
    why: 'binds clients and who names resources; one with a query is taken, as the RFC allows',
  },
  { section: '2', level: 'SHOULD', requirement: 'clients name the most specific URI', why: bindsClients },
  { section: '2', level: 'SHOULD', requirement: 'clients name the base URI of an API', why: bindsClients },
  {
    section: '2',
    level: 'SHOULD',
    requirement: 'the audience of the token is what `resource` says',
    test: 'oauth › resource › *: one is a string (RFC 8707 §2)',
  },
]
