/** Users, as `latchkey user` has them. By id, which never changes. */
import { z } from 'zod'
import { InvalidMember } from '../../admin/error.ts'
import { listUserFactors, resetUserFactors } from '../../admin/factors.ts'
import { inviteUser } from '../../admin/invitations.ts'
import { createResetLink } from '../../admin/reset_link.ts'
import { importUsers } from '../../admin/user_files.ts'
import {
  createUser,
  listUsers,
  readNewUser,
  readUserUpdate,
  removeUser,
  setPassword,
  setUserDisabled,
  showUser,
  type UserDocument,
  updateUser,
} from '../../admin/users.ts'
import { minSolePassword } from '../../users/password_rules.ts'
import { busy, ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { jsonType } from '../media_types.ts'
import { type AdminSurroundings, pageOf } from './admin_endpoint.ts'
import { etagOf, type Reply } from './reply.ts'
import {
  decodeCursor,
  encodeCursor,
  newInvitation,
  newPassword,
  newResetLink,
  newUser,
  thingPath,
  userChange,
  userImport,
  usersQuery,
} from './requests.ts'

const one = '/admin/users/{id}'
const write = 'admin:users'
const read = 'admin:users:read'
const shared = { tag: 'Users', pathParams: thingPath } as const
const taken = {
  username_taken: 'the username alice is taken',
  username_reserved: 'the username alice is kept for who had it in the last 90 days',
  email_taken: 'the address alice@example.com is taken',
} as const
const notFound = { not_found: 'there is no user usr_517uqrZdsCJBbGU-WPpE5g' } as const

export function userEndpoints(surroundings: AdminSurroundings): readonly Endpoint[] {
  return [
    ...listEndpoints(surroundings),
    invitationEndpoint(surroundings),
    ...recordEndpoints(surroundings),
    resetLinkEndpoint(surroundings),
    ...factorEndpoints(surroundings),
  ]
}

function listEndpoints({ deps, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'listUsers',
      method: 'get',
      path: '/admin/users',
      scope: read,
      query: usersQuery,
      async handle({ query: { username, limit, cursor } }) {
        if (username !== undefined) {
          const found = await deps.storage.findUserByUsername(username)
          return { document: { users: found ? [await showUser(deps, { id: found.id })] : [], next: null } }
        }
        const after = decodeCursor(z.string(), cursor)
        const users = await listUsers(deps, { after, limit })
        const last = users.length === limit ? users.at(-1) : undefined
        const next = last && encodeCursor(last.username)
        return { document: { users, next: next ?? null }, next }
      },
      describe: ({ usersDocument }) => ({
        tag: 'Users',
        summary: 'List users, by username',
        answers: pageOf('Users.', usersDocument),
      }),
    }),
    endpoint({
      id: 'createUser',
      method: 'post',
      path: '/admin/users',
      scope: write,
      once: true,
      body: newUser,
      async handle({ body: { password, take_reserved: takesReserved, ...given }, actor }) {
        const user = await createUser(deps, readNewUser(given), password, actor, { takesReserved })
        return { ...replyOf(user), created: `/admin/users/${user.id}` }
      },
      describe: ({ adminUser }) => ({
        tag: 'Users',
        summary: 'Add a user',
        answers: { 201: { description: 'Added.', content: { [jsonType]: adminUser }, headers: ['Location', 'ETag'] } },
        errors: taken,
      }),
    }),
    endpoint({
      id: 'importUsers',
      method: 'post',
      path: '/admin/users/import',
      scope: write,
      once: true,
      body: userImport,
      size: 'users',
      async handle({ body: { users, ignore, take_reserved: takesReserved, dry_run: dryRun = false }, actor }) {
        const outcome = await importUsers(deps, JSON.stringify(users), { ignore, takesReserved, dryRun }, actor)
        const { count, problems, report } = outcome
        if (dryRun) return { document: { importable: count, problems, ...report } }
        const [first] = problems
        if (first === undefined) return { document: { imported: count, ...report } }
        const what = [first.place, first.member, first.problem].filter(part => part !== undefined).join(': ')
        const more = problems.length > 1 ? `; and ${problems.length - 1} more: dry_run shows all` : ''
        throw new InvalidMember(undefined, `nothing was imported: ${what}${more}`)
      },
      describe: ({ importDocument }) => ({
        tag: 'Users',
        summary: 'Import a page of users with the password hashes they have: all or none',
        answers: ok('Imported, or what of them could be.', { [jsonType]: importDocument }),
        errors: { invalid_request: 'nothing was imported: entry 1: username: is missing' },
      }),
    }),
  ]
}

function invitationEndpoint({ deps, links, endpoint }: AdminSurroundings): Endpoint {
  return endpoint({
    id: 'inviteUser',
    method: 'post',
    path: '/admin/invitations',
    scope: write,
    once: true,
    body: newInvitation,
    handle: async ({ body, actor }) => ({ document: await inviteUser(deps, body, links, actor) }),
    describe: ({ invitationDocument }) => ({
      tag: 'Users',
      summary: 'Let somebody make an account, by a link that is mailed',
      description: 'Nothing of it is stored. Where no mail is set up, and with `print`, the answer has the link.',
      answers: ok('Invited.', { [jsonType]: invitationDocument }),
      errors: {
        ...busy,
        email_taken: 'the address bob@example.com has an account',
        username_taken: taken.username_taken,
        invalid_request: 'email: is not one e-mail address',
      },
    }),
  })
}

function recordEndpoints({ deps, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'showUser',
      method: 'get',
      path: one,
      scope: read,
      handle: async ({ id }) => replyOf(await showUser(deps, { id })),
      describe: ({ adminUser }) => ({
        ...shared,
        summary: 'Show a user',
        answers: ok('The user.', { [jsonType]: adminUser }, 'ETag'),
        errors: notFound,
      }),
    }),
    endpoint({
      id: 'updateUser',
      method: 'patch',
      path: one,
      scope: write,
      changes: true,
      body: userChange,
      handle: async ({ id, body: { take_reserved: takesReserved, ...body }, actor, insist }) =>
        replyOf(await updateUser(deps, { id }, readUserUpdate(body), actor, insist, { takesReserved })),
      describe: ({ adminUser }) => ({
        ...shared,
        summary: 'Change what is named; the user stays signed in, and tokens say it from their next refresh',
        answers: ok('The user.', { [jsonType]: adminUser }, 'ETag'),
        errors: { ...notFound, ...taken },
      }),
    }),
    endpoint({
      id: 'setPassword',
      method: 'put',
      path: `${one}/password`,
      scope: write,
      changes: true,
      body: newPassword,
      handle: async ({ id, body: { password }, actor, insist }) =>
        replyOf(await setPassword(deps, { id }, password, actor, insist)),
      describe: ({ adminUser }) => ({
        ...shared,
        summary: 'Set another password; ends all sessions of the user',
        answers: ok('The user.', { [jsonType]: adminUser }, 'ETag'),
        errors: {
          ...notFound,
          invalid_request: `password: the password must have at least ${minSolePassword} characters`,
        },
      }),
    }),
    ...(['disable', 'enable'] as const).map(verb =>
      endpoint({
        id: `${verb}User`,
        method: 'post',
        path: `${one}/${verb}`,
        scope: write,
        changes: true,
        handle: async ({ id, actor, insist }) =>
          replyOf(await setUserDisabled(deps, { id }, verb === 'disable', actor, insist)),
        describe: ({ adminUser }) => ({
          ...shared,
          summary:
            verb === 'disable'
              ? 'Refuse sign-ins and end all sessions of a user'
              : 'Let a disabled user sign in again, also one who is to be deleted, who is not then',
          answers: ok('The user.', { [jsonType]: adminUser }, 'ETag'),
          errors: notFound,
        }),
      }),
    ),
    endpoint({
      id: 'removeUser',
      method: 'delete',
      path: one,
      scope: write,
      changes: true,
      handle: async ({ id, actor, insist }) => ({ document: await removeUser(deps, { id }, actor, insist) }),
      describe: ({ removedDocument }) => ({
        ...shared,
        summary: 'Remove a user with all sessions',
        answers: ok('The username.', { [jsonType]: removedDocument }),
        errors: notFound,
      }),
    }),
  ]
}

function resetLinkEndpoint({ deps, links, endpoint }: AdminSurroundings): Endpoint {
  return endpoint({
    id: 'createResetLink',
    method: 'post',
    path: `${one}/reset-link`,
    scope: write,
    body: newResetLink,
    handle: async ({ id, body: { lifetime }, actor }) => ({
      document: await createResetLink(deps, { id }, links.issuer, lifetime, actor),
    }),
    describe: ({ resetLinkDocument }) => ({
      ...shared,
      summary: 'Make a link by which a user chooses another password',
      description:
        'It works once, and no more after any other change of the password, the second factors or the address. A second factor is asked for all the same. It is mailed to nobody.',
      answers: ok('The link.', { [jsonType]: resetLinkDocument }),
      errors: {
        ...notFound,
        user_disabled: 'the user alice is disabled',
        invalid_request: 'lifetime 5: it takes seconds, from 60 to 86400',
      },
    }),
  })
}

function factorEndpoints({ deps, endpoint }: AdminSurroundings): readonly Endpoint[] {
  const path = `${one}/factors`
  return [
    endpoint({
      id: 'listUserFactors',
      method: 'get',
      path,
      scope: read,
      handle: async ({ id }) => ({ document: { factors: await listUserFactors(deps, { id }) } }),
      describe: ({ factorsResponse }) => ({
        ...shared,
        summary: 'List the second factors of a user',
        answers: ok('The factors.', { [jsonType]: factorsResponse }),
        errors: notFound,
      }),
    }),
    endpoint({
      id: 'resetUserFactors',
      method: 'delete',
      path,
      scope: write,
      handle: async ({ id, actor }) => ({ document: await resetUserFactors(deps, { id }, actor) }),
      describe: ({ factorsResetDocument }) => ({
        ...shared,
        summary: 'Remove all second factors of a user who has lost them, and end all sessions',
        description: 'The next sign-in is by the password alone, or sets a factor up where one is demanded.',
        answers: ok('How many were removed.', { [jsonType]: factorsResetDocument }),
        errors: notFound,
      }),
    }),
  ]
}

function replyOf(user: UserDocument): Reply {
  return { document: user, etag: etagOf(user) }
}
