/** How much is taken before anybody waits: what operators set, and what follows from it or is fixed. */
import type { Limit } from './counter.ts'

/** Allowances are failures that nobody waits for; times are seconds. */
export type ThrottleSettings = ThrottleChoices &
  Readonly<{
    /** Of one account in all networks. */
    elsewhere: number
    /** Of one IPv6 /48 over all accounts. */
    site: number
    /** Of one password over all accounts and networks. */
    password: number
    /** How soon a failure is forgotten: those of an account, and those of a network, a site or a password. */
    forgetAccount: number
    forgetNetwork: number
    /** How long a network is known after a sign-in there. */
    knownNetwork: number
    /** Counters that are kept; beyond it those go that would be forgotten first. */
    entries: number
  }>

export type ThrottleChoices = Readonly<{
  enabled: boolean
  /** Of one account in one network; also of one client there, and of one session that asks for the current password. */
  account: number
  /** Of one network over all accounts. */
  network: number
  maxDelay: number
  /**
   * How many names one account may be called by at a sign-in; one unless it is said. What was typed is counted, whether anybody is called so: whose two names are the
   * same account must not show. So each failure counts as many times.
   */
  namesPerAccount?: 1 | 2
}>

export function throttleSettings(choices: ThrottleChoices): ThrottleSettings {
  return {
    ...choices,
    // Whoever rents many addresses shares this one allowance.
    elsewhere: 3 * choices.account,
    // One customer can hold all 65,536 networks of it.
    site: 10 * choices.network,
    // Whoever tries one password on many users, from wherever.
    password: 50,
    // Sooner for a network, where many people mistype.
    forgetAccount: 600,
    forgetNetwork: 60,
    // Longer than anybody is on holiday.
    knownNetwork: 90 * 86_400,
    // Some 400 bytes each: 40 MB under attack.
    entries: 100_000,
  }
}

/**
 * Wrong codes of one kind of factor of one user: ten, then one in six minutes. There are a million codes of which two or three are right
 * at any time, so the wait has to be longer than for a password.
 */
export const factorLimit: Limit = { allowance: 9, forget: 360, delay: 360 }
/** Wrong codes of a user in a row, whatever the kind, of which nobody is told. */
export const maxUntoldFactors = 4

/** Usernames that a user wants and another one has: twenty, then one in ten minutes. Nobody looks for a name for longer, and a list of names takes years. */
export const usernameLimit: Limit = { allowance: 19, forget: 600, delay: 600 }

/** Counters that nodes share in a database: some 100 MB under attack. Beyond it those go that would be forgotten first. */
export const maxSharedCounters = 500_000

/** Mails to one address: one a minute, and no more than five in any hour. */
export const mailLimit: Limit = { allowance: 0, forget: 60, delay: 60 }
export const mailsLimit: Limit = { allowance: 2, forget: 1800, delay: 1800 }
/** Mails that one network asks for: no more than twenty in any hour, and of a site as many as of ten networks. */
export const networkMailsLimit: Limit = { allowance: 9, forget: 360, delay: 360 }
export const siteMailsLimit: Limit = { allowance: 99, forget: 36, delay: 36 }

/** Accounts that people make for themselves in one network: twenty, then one an hour. A class that signs up has time, or is invited. */
export const newAccountsLimit: Limit = { allowance: 19, forget: 3600, delay: 3600 }
/** The same of a site: as many as in ten networks. */
export const siteNewAccountsLimit: Limit = { allowance: 199, forget: 360, delay: 360 }
