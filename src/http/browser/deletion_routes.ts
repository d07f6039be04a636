/** The pages on which people delete their account, and take that back. */
import { deleteAccount, deletionTimes, previewUndo, type UndoOutcome, undoDeletion } from '../../accounts/deletion.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { deleteAccountPage, deletedPage, deletionUndonePage, undoDeletionPage } from '../../pages/delete_account.ts'
import { paths } from '../../pages/paths.ts'
import { deletionDelay } from '../../sessions/user_change.ts'
import { reservationLifetime } from '../../users/reserved_usernames.ts'
import { callerOf } from '../caller.ts'
import { crossSite, goOn, ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { sendJson } from '../json.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { deletionForm, keepAccountForm } from '../own_account_params.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { askForProof, type Handled, refuseAccount, type Visit, visit } from './account_visit.ts'
import { type MailLinkVisit, mailLinkEndpoints } from './mail_link.ts'
import { type Site, sendPage, wantsPage } from './pages.ts'
import { clearSessionCookie } from './session_cookie.ts'

export function deletionEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [...requestEndpoints(deps, site), ...undoEndpoints(deps, site)]
}

function requestEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { path: paths.deleteAccount, caller: 'cookie', cors: 'none', hasPages: true } as const
  return [
    {
      ...shared,
      id: 'deletionPage',
      method: 'get',
      handle: ctx =>
        visit(deps, site, ctx, async given => {
          if (await askForProof(given, site.paths.deleteAccount)) return
          sendPage(ctx, pageOf(given))
        }),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page that says what a deletion of the account takes away',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: { insufficient_user_authentication: 'a new sign-in is needed' },
      }),
    },
    {
      ...shared,
      id: 'deleteByForm',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => visit(deps, site, ctx, remove, 'form'),
      describe: ({ deletionFormResponse, htmlPage }) => ({
        tag: 'Browser',
        summary: 'The form that deletes the account',
        body: deletionForm,
        answers: {
          ...ok('Nobody is signed in any more.', { [htmlType]: htmlPage, [jsonType]: deletionFormResponse }),
          ...goOn,
        },
        errors: {
          ...crossSite,
          insufficient_user_authentication: 'a new sign-in is needed',
          invalid_request: 'when is later, or now with sure',
        },
      }),
    },
  ]
}

/** The link of the mail: a second click says what is so already. */
function undoEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const show = ({ ctx, over }: MailLinkVisit, outcome: UndoOutcome) => {
    if (outcome === 'gone') return over()
    sendPage(ctx, deletionUndonePage(outcome, site.frame(ctx)))
    return undefined
  }
  return mailLinkEndpoints(deps, site, {
    purpose: 'deletion_notice',
    id: 'keepAccount',
    summary: 'an account that is to be deleted is kept',
    form: keepAccountForm,
    async show(visit) {
      const outcome = await previewUndo(deps, visit.link)
      if (outcome === 'gone' || outcome === 'already_undone') return show(visit, outcome)
      const { ctx } = visit
      sendPage(ctx, undoDeletionPage(site.frame(ctx)))
      return undefined
    },
    act: async visit => show(visit, await undoDeletion(deps, visit.link, callerOf(visit.ctx))),
  })
}

async function remove(given: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = given
  const { params } = bodyParams(ctx)
  const when = deletionTimes.find(one => one === params.when)
  if (when === undefined || (when === 'now' && params.sure === undefined)) {
    const failure = new OAuthError('invalid_request', 'when is later, or now with sure')
    return { failure, page: wantsPage(ctx) ? pageOf(given, when === undefined ? undefined : 'not_sure') : undefined }
  }
  const outcome = await deleteAccount(deps, signedIn, when, callerOf(ctx))
  if (outcome.kind !== 'done') return refuseAccount(given, outcome, site.paths.deleteAccount)
  clearSessionCookie(deps, ctx)
  const { isMailed } = outcome
  const deleteAt = when === 'now' ? undefined : outcome.deleteAt
  // A reload asks to sign in: there is nothing left to send the form with.
  if (wantsPage(ctx)) sendPage(ctx, deletedPage({ deleteAt, isMailed }, site.frame(ctx)))
  else sendJson(ctx, deleteAt === undefined ? {} : { delete_at: deleteAt, mailed: isMailed })
}

function pageOf({ deps, site, ctx, signedIn: { user } }: Visit, problem?: 'not_sure'): string {
  const view = {
    username: user.username,
    delayDays: deletionDelay / 86_400,
    keptDays: reservationLifetime / 86_400,
    isMailed: deps.config.hasMail && user.email !== undefined,
    problem,
  }
  return deleteAccountPage(view, site.frame(ctx))
}
