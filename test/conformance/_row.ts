/** The conformance table: one row for each normative statement of an RFC. `README.md` beside this file is made from it. */

export const levels = [
  'MUST',
  'MUST NOT',
  'SHALL',
  'SHALL NOT',
  'REQUIRED',
  'SHOULD',
  'SHOULD NOT',
  'RECOMMENDED',
  'NOT RECOMMENDED',
] as const
export type Level = (typeof levels)[number]

/** A requirement in words of ours, never the RFC's. */
export type Row = Readonly<{ section: string; level: Level; requirement: string }> & (ShownRow | UnshownRow)

type ShownRow = Readonly<{
  /**
   * The test that shows it as AVA prints it: its folders and file below `test/`, and its title. Of a title that a loop makes, either
   * one that it does make or the template with `*` for what is put in.
   */
  test: string
  why?: undefined
  onPurpose?: undefined
}>
type UnshownRow = Readonly<{
  test?: undefined
  /** Why no test shows it: it does not apply, or, with `onPurpose`, it applies and we do otherwise. */
  why: string
  onPurpose?: true
}>

export const bindsClients = 'binds clients'
export const bindsResourceServers = 'binds resource servers other than this one'
export const bindsLibraries = 'binds authors of libraries'
export const bindsRegistries = 'binds those who register names'
export const noAuthorizationEndpoint = 'there is no authorization endpoint'
export const tlsAtProxy =
  "TLS ends at the operator's proxy (docs/operating.md); by default the server listens on loopback only"
