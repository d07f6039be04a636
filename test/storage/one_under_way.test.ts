/** One query under way for all who ask, and no answer that is older than its question. */
import { setImmediate as endOfTurn } from 'node:timers/promises'
import test from 'ava'
import { oneUnderWay } from '../../src/storage/postgres/one_under_way.ts'

/** Queries that are answered when the test says so. */
function createQueries() {
  const asked: { key: string; turn: PromiseWithResolvers<string> }[] = []
  const find = oneUnderWay(key => {
    const turn = Promise.withResolvers<string>()
    asked.push({ key, turn })
    return turn.promise
  })
  return { asked, find }
}

test('what is asked in one turn is one query; another key is another', async t => {
  const { asked, find } = createQueries()
  const answers = [find('a'), find('a'), find('b')]

  t.deepEqual(
    asked.map(({ key }) => key),
    ['a', 'b'],
  )
  for (const { key, turn } of asked) turn.resolve(key)
  t.deepEqual(await Promise.all(answers), ['a', 'a', 'b'])
})

test('what is asked later gets the answer of a query that began after it was asked, and all of that time share one', async t => {
  const { asked, find } = createQueries()
  const first = find('a')
  await endOfTurn()
  const second = find('a')
  await endOfTurn()
  const third = find('a')
  t.is(asked.length, 1)

  asked[0]!.turn.resolve('before')
  t.is(await first, 'before')
  await endOfTurn()
  t.is(asked.length, 2)
  asked[1]!.turn.resolve('after')
  t.deepEqual([await second, await third], ['after', 'after'])

  await endOfTurn()
  const fourth = find('a')
  asked[2]!.turn.resolve('last')
  t.is(await fourth, 'last')
})

test('a failure is also that of who waits for the next query, and the one after it is asked anew', async t => {
  const { asked, find } = createQueries()
  const first = find('a')
  await endOfTurn()
  const second = find('a')

  asked[0]!.turn.reject(new Error('gone'))
  await t.throwsAsync(first, { message: 'gone' })
  await t.throwsAsync(second, { message: 'gone' })

  const third = find('a')
  asked[1]!.turn.resolve('back')
  t.is(await third, 'back')
})
