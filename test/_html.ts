/**
 * Reads a page as a browser's tokenizer does (https://html.spec.whatwg.org/#tokenization), as far as tags, attributes,
 * comments and character references go that these pages use. Independent of the code under test.
 */

export type Tag = { name: string; closes: boolean; attributes: Map<string, string> }
export type Token = Tag | { text: string } | { comment: string }

export function isTag(token: Token): token is Tag {
  return 'name' in token
}

export function readHtml(page: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  let text = ''
  const flush = () => {
    if (text !== '') tokens.push({ text: readText(text) })
    text = ''
  }
  while (at < page.length) {
    const rest = page.slice(at, at + 3)
    if (/^<\/?[a-z]/i.test(rest)) {
      flush()
      const { tag, end } = readTag(page, at)
      tokens.push(tag)
      at = end
    } else if (/^<(?:[!?]|\/[^a-z])/i.test(rest)) {
      flush()
      const end = page.indexOf('>', at)
      tokens.push({ comment: page.slice(at, end < 0 ? undefined : end + 1) })
      at = end < 0 ? page.length : end + 1
    } else {
      text += page[at++]
    }
  }
  flush()
  return tokens
}

function readTag(page: string, start: number): { tag: Tag; end: number } {
  const [opening, slash = '', name = ''] = /^<(\/?)([^\s/>]+)/.exec(page.slice(start, start + 100))!
  const attributes = new Map<string, string>()
  const pattern = /[\s/]*(?:(>)|([^\s/>][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]*)))?)/y
  pattern.lastIndex = start + opening.length
  for (let match = pattern.exec(page); match !== null; match = pattern.exec(page)) {
    const [, closing, attribute, double, single, bare] = match
    if (closing !== undefined) break
    attributes.set(attribute!.toLowerCase(), readText(double ?? single ?? bare ?? ''))
  }
  return {
    tag: { name: name.toLowerCase(), closes: slash !== '', attributes },
    end: pattern.lastIndex === 0 ? page.length : pattern.lastIndex,
  }
}

function readText(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"' }
  return text.replace(/&(?:#(\d+)|(amp|lt|gt|quot));/g, (_, code, name) =>
    code === undefined ? named[name]! : String.fromCodePoint(Number(code)),
  )
}
