/**
 * The files that commands in the documents are given, by document and heading. Whole exports of other programs are in
 * user_exports.test.ts; these are the smallest of each kind.
 */
const bcrypt = '$2y$04$CKx5qkDNLhjEum3YwqVJ4ezxbvbyXfTzK.OG8AcbI2kYKMIjd.7.S'
const django = 'pbkdf2_sha256$2000$seasalt2$wxn68846qjDWD4qkn/0owVuveynrPhmySXSuVzeQu00='

export const givenFiles: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'docs/import.md, Bring your users': {
    'users.json': JSON.stringify([{ username: 'user1', hashed_password: bcrypt }]),
  },
  'docs/import.md, Any other program': { 'users.csv': `username,hashed_password\nuser2,${bcrypt}\n` },
  'docs/import.md, Firebase': {
    'users.json': JSON.stringify({
      users: [
        {
          localId: 'a1',
          email: 'user3@example.com',
          passwordHash: 'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
          salt: '42xEC+ixf3L2lw==',
        },
      ],
    }),
    'hash_config.txt': `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}`,
  },
  'docs/import.md, Auth0': { 'auth0.ndjson': JSON.stringify({ email: 'user4@example.com', passwordHash: bcrypt }) },
  'docs/import.md, Supabase': {
    'users.csv': `id,email,encrypted_password\n5a2c1d3e-0000-4000-8000-000000000000,user5@example.com,${bcrypt}\n`,
  },
  'docs/import.md, Keycloak': {
    'realm.json': JSON.stringify({ realm: 'r', users: [{ username: 'user6', enabled: true }] }),
  },
  'docs/import.md, Django': {
    'users.json': JSON.stringify([
      { model: 'auth.user', pk: 1, fields: { username: 'user7', password: django, is_active: true } },
    ]),
  },
  'docs/import.md, WordPress': { 'users.csv': `user_login,user_pass\nuser8,${bcrypt}\n` },
}
