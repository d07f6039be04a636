/** The files of `examples/systemd/`, as systemd reads them. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { settings } from '../../src/config.ts'
import { testWith } from '../_cluster.ts'
import { createFolder, deployment, freePort, root, run, runCli } from '../_process.ts'

const analyze = '/usr/bin/systemd-analyze'
const testSystemd = testWith({ systemd: analyze })
const folder = join(root, 'examples/systemd')
const unit = join(folder, 'latchkey.service')

testSystemd('latchkey.service: systemd finds an exposure of at most 2.0', async t => {
  const { stdout, stderr } = await run(analyze, ['security', '--offline=true', '--no-pager', unit], {})
  const [, exposure] = /Overall exposure level for latchkey\.service: ([\d.]+)/.exec(stdout) ?? []
  t.true(Number(exposure) <= 2, stdout + stderr)
})

testSystemd('latchkey.service: systemd knows every line of it', async t => {
  const { stderr } = await run(analyze, ['verify', '--man=no', unit], {})
  const said = stderr.split('\n').filter(line => line !== '' && !/is not executable: No such file/.test(line))
  t.deepEqual(said, [])
})

test('latchkey.service, latchkey.env and latchkey name settings that there are, and the files of one another', t => {
  const [service, environment, script] = ['latchkey.service', 'latchkey.env', 'latchkey'].map(name =>
    readFileSync(join(folder, name), 'utf8'),
  ) as [string, string, string]
  for (const text of [service, environment, script])
    for (const [name] of text.matchAll(/LATCHKEY_\w+/g)) t.true(Object.hasOwn(settings, name), name)
  const node = /^ExecStart=(\S+) .* (\S+) serve$/m.exec(service)!
  t.true(script.includes(`exec ${node[1]} ${node[2]} "$@"`))
  for (const name of ['/etc/latchkey/latchkey.env', '/etc/latchkey/secret'])
    t.true(service.includes(name) && script.includes(name), name)
  const options = /--max-\S+ --v8-\S+/
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.is(options.exec(service)![0], options.exec(scripts.start)![0])
})

test('latchkey.env starts a server, read by a shell', async t => {
  const environment = deployment(createFolder(t))
  const command = `set -ea; . ${join(folder, 'latchkey.env')}; env`
  const { stdout } = await run('sh', ['-c', command], { PATH: process.env.PATH ?? '' })
  const given = Object.fromEntries(
    stdout.split('\n').flatMap(line => (line.startsWith('LATCHKEY_') ? [line.split(/=(.*)/s).slice(0, 2)] : [])),
  )
  t.true(Object.keys(given).length > 1)
  t.like(await runCli(['migrate'], { ...environment, ...given }), { code: 0 })
})

const namespaces = ['--pid', '--mount', '--cgroup', '--ipc', '--uts', '--fork', '--kill-child']
const canBoot = spawnSync('unshare', [...namespaces, 'test', '-x', '/lib/systemd/systemd']).status === 0
const testBooted = canBoot ? test : test.skip

/** Runs a script beside an own systemd that has the unit. @returns what the script and the server said */
async function boot(t: ExecutionContext, script: string) {
  const folder = createFolder(t)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  writeFileSync(join(folder, 'script'), `${helpers.replaceAll('URL', url)}${script.replaceAll('URL', url)}`)
  const args = [root, process.execPath, `${port}`, folder]
  const { code, stderr } = await run(join(root, 'test/slow/_boot_systemd.sh'), args, { PATH: process.env.PATH! })
  const said = readFileSync(join(folder, 'out'), 'utf8')
  t.is(code, 0, stderr + said)
  return { said, log: readFileSync(join(folder, 'log'), 'utf8') }
}

const helpers = `
exec 2>&1
until_ready() { for i in $(seq 300); do curl -sf URL/health/ready >/dev/null && return; sleep 0.1; done; echo never ready; }
token() { curl -s URL/token -d client_id=app "$@"; }
member() { /opt/node/node -p 'JSON.parse(fs.readFileSync(0))[process.argv[1]]' "$1"; }
show() { systemctl show -p "$1" --value latchkey; }
`

testBooted(
  'the unit serves with no right of root, commands run beside it, and a restart after secret rotate signs nobody out',
  async t => {
    t.timeout(240_000)
    const { said, log } = await boot(
      t,
      `systemctl start latchkey; until_ready
pid=$(show MainPID)
echo "rights $(awk '/^CapEff/ { print $2 }' /proc/$pid/status) filtered $(awk '/^Seccomp:/ { print $2 }' /proc/$pid/status)"
echo "root $(awk '/^Uid/ { print ($2 == 0) }' /proc/$pid/status)"
echo "nice $(cat /proc/$pid/task/*/stat | awk '/libuv-worker/ { print $19 }' | sort -u)"
printf '%s' 'correct horse battery staple' | /run/latchkey user add alice --password-stdin
refresh=$(token -d grant_type=password -d username=alice --data-urlencode 'password=correct horse battery staple' | member refresh_token)
/run/latchkey secret rotate >/dev/null && systemctl restart latchkey; until_ready
token -d grant_type=refresh_token -d "refresh_token=$refresh" | grep -c access_token
/run/latchkey doctor | grep -c '^failed'
systemctl stop latchkey; echo "$(show Result) $(show ExecMainStatus)"
/run/latchkey user show alice | grep -c alice
echo "not the server's: $(find /var/lib/latchkey/ ! -user "$(stat -Lc %u /var/lib/latchkey/latchkey.db)" | wc -l)"
`,
    )
    t.deepEqual(said.trim().split('\n'), [
      'rights 0000000000000000 filtered 2',
      'root 0',
      'nice 10',
      'added the user alice',
      '1',
      '0',
      'success 0',
      '1',
      "not the server's: 0",
    ])
    t.false(log.includes('others can read'))
  },
)

testBooted('the unit starts again after a crash, and not after a setting that is wrong', async t => {
  t.timeout(240_000)
  const { said, log } = await boot(
    t,
    `systemctl start latchkey; until_ready
kill -KILL "$(show MainPID)"; while [ "$(show NRestarts)" != 1 ]; do sleep 0.1; done; until_ready
echo "$(show ActiveState) $(show NRestarts)"
echo LATCHKEY_PROT=3000 >>/etc/latchkey/latchkey.env
systemctl restart latchkey; while [ "$(show ActiveState)" = active ]; do sleep 0.1; done
sleep 2; echo "$(show ActiveState) $(show ExecMainStatus)"
`,
  )
  t.deepEqual(said.trim().split('\n'), ['active 1', 'failed 78'])
  t.regex(log, /LATCHKEY_PROT is not a setting/)
})
