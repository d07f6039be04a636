/** Chromium's own authenticator without a device: WebAuthn §11.2, by the DevTools protocol. */
import type { Page } from 'playwright-core'

/** Of what it does otherwise than a device whose keys stay on it, with a user who is there and is recognised. */
export type VirtualAuthenticatorOptions = Partial<{
  isUserVerified: boolean
  /** Its passkeys are in the cloud of a password manager. */
  isSynced: boolean
}>

/** Puts one into the browser of a page. It answers at once, as a person would. */
export async function addVirtualAuthenticator(
  page: Page,
  { isUserVerified = true, isSynced = false }: VirtualAuthenticatorOptions = {},
) {
  const devTools = await page.context().newCDPSession(page)
  await devTools.send('WebAuthn.enable')
  const { authenticatorId } = await devTools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      automaticPresenceSimulation: true,
      isUserVerified,
      defaultBackupEligibility: isSynced,
      defaultBackupState: isSynced,
    },
  })
  return {
    async credentials() {
      return (await devTools.send('WebAuthn.getCredentials', { authenticatorId })).credentials
    },
    /** Whether anybody answers; a request waits for them else. */
    async attend(isThere: boolean) {
      await devTools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled: isThere })
    },
    /** Whether the next finger is the right one. */
    async recognise(isRight: boolean) {
      await devTools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: isRight })
    },
  }
}
