/** The pages and the API documentation in a real Chromium. One file, so that one browser serves all and one line says that it is missing. */
import './browser/sign_in.ts'
import './browser/account.ts'
import './browser/other_site.ts'
import './browser/appearance.ts'
import './browser/docs.ts'
import './browser/passkeys.ts'
import './browser/factors.ts'
import './browser/sign_up.ts'
