/**
 * What an e-mail address may be: the one check, asked by whoever takes one and by whoever mails to one. What a header or a command of
 * SMTP could read as two addresses, or as the end of one, is none. RFC 5321 §4.1.2, RFC 6531, and of ASCII what a form field of type
 * email takes (HTML, §4.10.5.1.5).
 */
import { domainToASCII, domainToUnicode } from 'node:url'
import { toNfc, toNfkc } from '../normal_form.ts'
import { hiddenIn, maxEmail, type Reading } from '../text.ts'

/** Letters with their marks, digits, and what RFC 5322 calls atext, with dots wherever they are. */
const localPart = /^(?!\p{M})[\p{L}\p{M}\p{Nd}.!#$%&'*+/=?^_`{|}~-]+$/u
/** Hyphens within only. */
const label = /^(?!\p{M})[\p{L}\p{M}\p{Nd}](?:[\p{L}\p{M}\p{Nd}-]*[\p{L}\p{M}\p{Nd}])?$/u
const maxLabel = 63

/** Those that languages mix, and every other one alone: the level Highly Restrictive of UTS #39 §5.2. */
const mixable = ['Latn Hani Hira Kana', 'Latn Hani Hang', 'Latn Hani Bopo']
/** Those in common use today: UAX #31, Table 5. */
const alone =
  'Arab Armn Beng Cyrl Deva Ethi Geor Grek Gujr Guru Hebr Khmr Knda Laoo Mlym Mymr Orya Sinh Taml Telu Thaa Thai Tibt'
const oneScript = [...mixable, ...alone.split(' ')].map(scripts => {
  const members = [...scripts.split(' '), 'Zyyy', 'Zinh'].map(script => `\\p{scx=${script}}`)
  return new RegExp(`^[${members.join('')}]*$`, 'u')
})

const notOne = { problem: 'is not one e-mail address' }
const noDomain = { problem: 'has no domain that mail could go to' }

/**
 * Reads an address. White space around it is no part of it.
 *
 * @returns it in NFC, a domain of other letters in its ASCII form: one mailbox has one text, but for upper and lower case
 */
export function readEmail(given: string): Reading {
  const tooLong = { problem: `has more than ${maxEmail} characters` }
  // Before it is looked at any closer. Four marks on a letter become one with it.
  if (given.length > 4 * maxEmail) return tooLong
  if (/\p{Cc}/u.test(given)) return { problem: 'has a line break or another control character' }
  const text = toNfc(given.trim())
  const hidden = hiddenIn(text.replaceAll(' ', ''))
  if (hidden !== undefined) return { problem: `has a character that cannot be in an address: ${hidden}` }
  const [local = '', typed = '', ...more] = text.split('@')
  if (more.length > 0 || typed === '' || !localPart.test(local)) return notOne
  // ﬁ, ² and letters of full width: a program that takes them for the usual ones would mean somebody else.
  if (toNfkc(text) !== text) return { problem: 'has letters that only look like the usual ones' }
  if (!isOfOneScript(local)) return { problem: 'mixes letters of several scripts, which look alike' }
  const domain = readDomain(typed)
  if (domain.text === undefined) return domain
  const address = `${local}@${domain.text}`
  return Buffer.byteLength(address) > maxEmail ? tooLong : { text: address }
}

/** An address as somebody types it to sign in, with its domain as it is kept; what is no address stays as it is. */
export function withAsciiDomain(typed: string): string {
  if (/^[\x21-\x7e]*$/.test(typed)) return typed
  const at = typed.lastIndexOf('@')
  const ascii = at < 0 ? '' : domainToASCII(typed.slice(at + 1).trim())
  return ascii === '' ? typed : typed.slice(0, at + 1) + ascii
}

function readDomain(typed: string): Reading {
  // What a mail server would take for a network address is none of a domain. RFC 1123 §2.1.
  if (!typed.split('.').every(part => label.test(part)) || /(?:^|\.)\d+$/.test(typed)) return noDomain
  const isAscii = /^[!-~]*$/.test(typed)
  const text = isAscii ? typed : domainToASCII(typed)
  const labels = text.split('.')
  if (text === '' || labels.some(part => part.length > maxLabel)) return noDomain
  // Whoever writes the ASCII form of one is asked the same.
  const shown = labels.map(showLabel)
  if (shown.includes(undefined)) return noDomain
  if (!shown.every(part => isOfOneScript(part!)))
    return { problem: 'has a domain that mixes letters of several scripts, which look alike' }
  return { text }
}

/** @returns as people read it, undefined for what is the ASCII form of nothing (RFC 5891) */
function showLabel(ascii: string): string | undefined {
  if (!/^xn--/i.test(ascii)) return ascii
  const shown = domainToUnicode(ascii)
  const isForm = label.test(shown) && !shown.startsWith('xn--') && domainToASCII(shown) === ascii.toLowerCase()
  return isForm ? shown : undefined
}

const isOfOneScript = (text: string) => /^[!-~]*$/.test(text) || oneScript.some(script => script.test(text))
