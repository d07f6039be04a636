/** Ascending numbers in few bits. */
import test from 'ava'
import fc from 'fast-check'
import { encodeNumbers, hasNumber } from '../../src/breached/golomb.ts'

const ascending = (max: number) =>
  fc.uniqueArray(fc.nat(max), { maxLength: 300 }).map(numbers => numbers.toSorted((one, other) => one - other))

test('every number that was written is there, and no other', t => {
  fc.assert(
    fc.property(fc.oneof(ascending(2 ** 18 - 1), ascending(400), ascending(2 ** 24)), numbers => {
      const bytes = encodeNumbers(numbers)
      const there = new Set(numbers)
      for (const number of numbers) {
        t.true(hasNumber(bytes, number))
        for (const near of [number - 1, number + 1, number + 1024]) t.is(hasNumber(bytes, near), there.has(near))
      }
    }),
  )
})

test('whatever bytes there are, they are read to their end and nothing is thrown', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(2 ** 18), (bytes, number) => {
      t.is(typeof hasNumber(bytes, number), 'boolean')
    }),
  )
})

test('numbers with gaps of 1,024 on average take fewer than 11.7 bits each', t => {
  let [seed, number] = [1, 0]
  const numbers = Array.from({ length: 10_000 }, () => {
    seed = (seed * 48_271) % 2_147_483_647
    number += 1 + Math.floor(-1023 * Math.log(seed / 2_147_483_647))
    return number
  })
  const bits = (8 * encodeNumbers(numbers).length) / numbers.length
  t.true(bits > 11.4 && bits < 11.7, `${bits}`)
})

test('all numbers of a range and none of them', t => {
  const all = Array.from({ length: 4096 }, (_, number) => number)
  const bytes = encodeNumbers(all)
  t.is(bytes.length, (4096 * 11) / 8)
  t.true(all.every(number => hasNumber(bytes, number)))
  t.false(hasNumber(bytes, 4096))
  t.is(encodeNumbers([]).length, 0)
  t.false(hasNumber(encodeNumbers([]), 0))
})
