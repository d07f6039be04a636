/** What keys ask of a database, and what counts once. */
import type { AuditEvent } from '../audit/audit.ts'
import type { SigningKey } from './signing_key.ts'

export type KeyStorage = Readonly<{
  listSigningKeys(): Promise<SigningKey[]>
  /**
   * Adds a signing key, if the newest one is still the one given: of two nodes that start at once, one makes the key.
   *
   * @param newest the `kid` of the key made last, undefined for none
   */
  addSigningKey(key: SigningKey, newest: string | undefined, event: AuditEvent): Promise<boolean>
  /** @returns how many were removed */
  removeSigningKeys(kids: readonly string[], event: AuditEvent): Promise<number>
  /** Replaces the encrypted private halves of keys, by `kid`. @returns how many were replaced */
  replacePrivateJwes(jwes: ReadonlyMap<string, string>, event: AuditEvent): Promise<number>
  /** Notes since when a master secret is used, where nothing is noted of it yet, and until when, where that is later than what is. */
  noteMasterSecret(use: MasterSecretUse, event: AuditEvent): Promise<void>
  listMasterSecretUses(): Promise<MasterSecretUse[]>
  /** For those that have been dropped. */
  forgetMasterSecrets(names: readonly string[], event: AuditEvent): Promise<void>
}>

/** When tokens are made under a master secret. Instants are seconds since the epoch. */
export type MasterSecretUse = Readonly<{
  /** 8 hexadecimal digits. */
  name: string
  /** Not before; it may be to come. */
  usedSince: number
  /** Until when a node may make some, as the last one said; absent where one process has the database for itself. */
  usedUntil?: number
}>

/** A request that has begun, and what it was answered once it was. Instants are seconds since the epoch. */
export type KeptAnswer = Readonly<{
  /** Which request it was. */
  fingerprint: string
  beganAt: number
  answer?: string | undefined
}>

/** What requests were answered, for who repeats one. */
export type AnswerStorage = Readonly<{
  /**
   * Begins a request, if none with its identifier has begun and not expired; of many at the same moment one does.
   *
   * @param id  of whose it is, a dot, and which of theirs
   * @param max how many of theirs there may be that have not expired
   * @returns undefined where it has begun now, `full` where there are too many, else what is there
   */
  beginAnswer(
    id: string,
    began: Readonly<{ fingerprint: string; beganAt: number; expiresAt: number }>,
    max: number,
  ): Promise<KeptAnswer | 'full' | undefined>
  keepAnswer(id: string, answer: string): Promise<void>
  /** For a request that came to nothing. */
  forgetAnswer(id: string): Promise<void>
  /** Forgets a limited number of those that have expired. @returns how many */
  pruneAnswers(expiredBefore: number): Promise<number>
}>

/** For what has no table of its own: an identifier that counts once, until it expires anyway. */
export type OnceStorage = Readonly<{
  /**
   * Consumes an identifier that must count once, and keeps it until it expires.
   *
   * @returns false when it was consumed already
   */
  consumeOnce(id: string, expiresAt: number, event?: AuditEvent): Promise<boolean>
  isConsumed(id: string): Promise<boolean>
  /** Forgets a limited number of identifiers that have expired. @returns how many */
  pruneConsumed(expiredBefore: number): Promise<number>
}>
