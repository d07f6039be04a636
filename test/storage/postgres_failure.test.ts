/** What an error means (PostgreSQL documentation, Appendix A; errors of pg and of Node). */
import test from 'ava'
import pg from 'pg'
import { OAuthError } from '../../src/error.ts'
import {
  ConnectionError,
  isCollision,
  isUnavailable,
  meansLostServer,
  translate,
} from '../../src/storage/postgres/failure.ts'

function serverError(code: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('refused', 7, 'error'), { code, severity: 'ERROR' })
}

const systemError = (code: string) => Object.assign(new Error(`connect ${code}`), { code, syscall: 'connect' })
/** As drizzle does. */
const wrapped = (cause: Error) => new Error('Failed query: select 1', { cause })

for (const [code, what] of [
  ['40001', 'collision'],
  ['40P01', 'collision'],
  ['55P03', 'collision'],
  ['08006', 'lost'],
  ['08P01', 'lost'],
  ['25006', 'lost'],
  ['57P01', 'lost'],
  ['57P02', 'lost'],
  ['57P03', 'lost'],
  ['57014', 'unavailable'],
  ['53100', 'unavailable'],
  ['53300', 'unavailable'],
  ['58030', 'unavailable'],
  ['25P03', 'unavailable'],
  ['28P01', 'unavailable'],
  ['3D000', 'unavailable'],
  ['42501', 'unavailable'],
  ['XX001', 'unavailable'],
  ['23505', 'mistake'],
  ['22021', 'mistake'],
  ['42601', 'mistake'],
  ['42P01', 'mistake'],
  ['25P02', 'mistake'],
  ['XX000', 'mistake'],
] as const)
  test(`SQLSTATE ${code}: ${what}`, t => {
    for (const error of [serverError(code), wrapped(serverError(code))]) {
      t.is(isCollision(error), what === 'collision')
      t.is(meansLostServer(error), what === 'lost')
      t.is(isUnavailable(error), what !== 'mistake')
    }
  })

for (const error of [
  systemError('ECONNREFUSED'),
  systemError('EPIPE'),
  systemError('ETIMEDOUT'),
  new AggregateError([systemError('ECONNREFUSED')], 'each address of localhost'),
  new Error('Connection terminated unexpectedly'),
  new Error('Connection terminated due to connection timeout', { cause: new Error('timeout expired') }),
  new Error('Query read timeout'),
  new Error('Client has encountered a connection error and is not queryable'),
  new ConnectionError('it is a standby'),
])
  test(`an error without a code: ${error.message}`, t => {
    t.true(meansLostServer(error) && meansLostServer(wrapped(error)))
    const translated = translate(error)
    t.true(translated instanceof OAuthError)
    t.like(translated, { code: 'temporarily_unavailable', retryAfter: 1, cause: error })
  })

test('a mistake of ours and a refusal of ours stay what they are', t => {
  for (const error of [
    new TypeError('x is undefined'),
    new OAuthError('invalid_grant', 'no'),
    serverError('23505'),
    undefined,
  ]) {
    t.is(translate(error), error)
    t.false(meansLostServer(error))
  }
})
