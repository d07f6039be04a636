/** The texts of the pages by language. One that is missing in a language does not compile. */
import type { Language } from './language.ts'
import { en, type Texts } from './texts_en.ts'
import { ko } from './texts_ko.ts'

export type { Texts }

export const texts: Readonly<Record<Language, Texts>> = { en, ko }
