/** The language of a page, from `Accept-Language`. RFC 9110 §12.4.2, §12.5.4; RFC 4647 §3.4. */

export const languages = ['en', 'ko'] as const
export type Language = (typeof languages)[number]

const range = /^(\*|[a-z]{1,8})((?:-[a-z0-9]{1,8})*)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/i

/**
 * The language with the highest weight. Regions count for their language (`ko-KR` is `ko`), `*` for those not named. Of
 * equal weights the one named first wins, and any before `*`.
 *
 * @param acceptLanguage the header; what is malformed in it counts as left out
 * @returns English when nothing fits: a page in the wrong language is better than none
 */
export function pickLanguage(acceptLanguage: string | undefined): Language {
  const weights = new Map<string, number>()
  for (const member of (acceptLanguage ?? '').split(',')) {
    const [, tag, subtags, weight = '1'] = range.exec(member.trim()) ?? []
    if (tag === undefined || (tag === '*' && subtags !== '')) continue
    const name = tag.toLowerCase()
    weights.set(name, Math.max(weights.get(name) ?? 0, Number(weight)))
  }
  const named = [...weights.keys()].filter(isLanguage)
  const others = languages.filter(language => !weights.has(language))

  let best: { language: Language; weight: number } = { language: 'en', weight: 0 }
  for (const language of [...named, ...others]) {
    const weight = weights.get(language) ?? weights.get('*') ?? 0
    if (weight > best.weight) best = { language, weight }
  }
  return best.language
}

/** The same, and undefined where the header names none of our languages: `*` is what programs send. */
export function askedLanguage(acceptLanguage: string | undefined): Language | undefined {
  const names = (acceptLanguage ?? '').split(',').map(member => /^[a-z]*/i.exec(member.trim())![0].toLowerCase())
  return names.some(isLanguage) ? pickLanguage(acceptLanguage) : undefined
}

function isLanguage(name: string): name is Language {
  return (languages as readonly string[]).includes(name)
}
