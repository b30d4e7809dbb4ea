// Runs the public HTTP cache tests (http-cache-tests) against cms-edge, and compares every case with
// what is expected of it.
//
//   node tests/conformance/run.mjs                     the edition of the npm registry
//   node tests/conformance/run.mjs --suite DIR         a checkout of the newest edition
//   … --profile rfc|safe                               proxy.toml (default) or safe.toml
//   … --store memory|redis                           memory (default), or a Redis of its own and no memory
//   … --binary PATH                                    default: target/release/cms-edge
//   … --id NAME                                        one case, with what was said on the wire
//   … --update                                         writes the expectations anew, keeping reasons
//   … --results FILE                                   where the raw results go
//   … --page                                           writes docs/conformance.md, and runs nothing
//
// CMS_EDGE_TEST_ORIGIN, CMS_EDGE_TEST_PORT and CMS_EDGE_TEST_ADMIN are the ports of the suite's origin, of
// the cache and of its admin listener; free ones where they are not set.
import { spawn, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { page } from './page.mjs'

const NPM_EDITION = 'http-cache-tests@0.4.5'
const RUN_MS_MAX = 10 * 60 * 1000
const START_MS_MAX = 20 * 1000

const here = dirname(fileURLToPath(import.meta.url))
const root = resolve(here, '../..')
const { values: options } = parseArgs({
  options: {
    suite: { type: 'string' },
    profile: { type: 'string', default: 'rfc' },
    store: { type: 'string', default: 'memory' },
    binary: { type: 'string', default: join(root, 'target/release/cms-edge') },
    config: { type: 'string' },
    id: { type: 'string', default: '' },
    update: { type: 'boolean', default: false },
    results: { type: 'string' },
    page: { type: 'boolean', default: false }
  }
})
const children = []
const folders = []

// One of our own processes; it ends with us.
function start (command, args, env, cwd) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  child.on('exit', code => { if (!child.stopping) fail(`${command} ended with ${code}`) })
  children.push(child)
}

function stopAll () {
  for (const child of children) {
    child.stopping = true
    child.kill(child.spawnfile === 'redis-server' ? 'SIGKILL' : 'SIGTERM')
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
}

function fail (message) {
  console.error(`FAILED: ${message}`)
  stopAll()
  process.exit(1)
}

function freePort () {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

async function answers (url) {
  const end = Date.now() + START_MS_MAX
  while (Date.now() < end) {
    try {
      const response = await fetch(url)
      await response.arrayBuffer()
      if (response.ok) return
    } catch {
      // Not there yet.
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  fail(`${url} does not answer`)
}

// What makes the cache keep everything in a Redis that is started here, and nothing in its memory. The
// expectations are those of the memory store: a difference is a mistake of one of them.
async function redis () {
  const folder = mkdtempSync(join(tmpdir(), 'cms-edge-conformance-'))
  folders.push(folder)
  const socket = join(folder, 'redis.sock')
  start('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'no',
    '--maxmemory', '256mb', '--maxmemory-policy', 'volatile-lru', '--logfile', join(folder, 'log')])
  const end = Date.now() + START_MS_MAX
  while (!existsSync(socket)) {
    if (Date.now() > end) fail('redis-server does not listen')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return {
    CMS_EDGE_CACHE__MEMORY: '0B',
    CMS_EDGE_REDIS__URL: `redis+unix://${socket}`,
    // It is answers that count here: a busy machine turns none into a miss.
    CMS_EDGE_REDIS__TIMEOUT: '5s'
  }
}

async function store () {
  if (options.store === 'memory') return {}
  if (options.store === 'redis') return redis()
  fail('--store is memory or redis')
}

// The folder of the suite, with what it needs installed.
function suite (wanted) {
  const work = join(root, 'target/conformance')
  if (wanted === undefined) {
    const folder = join(work, 'npm')
    const installed = join(folder, 'node_modules/http-cache-tests')
    if (!existsSync(join(installed, 'cli.mjs'))) {
      mkdirSync(folder, { recursive: true })
      npm(['install', '--prefix', folder, '--ignore-scripts', '--no-save', NPM_EDITION])
    }
    return { edition: 'npm', folder: installed, cli: 'cli.mjs', server: 'server/server.mjs' }
  }
  const given = resolve(wanted)
  if (!existsSync(join(given, 'test-engine/cli.mjs'))) fail(`${given} is no checkout of the suite`)
  if (existsSync(join(given, 'node_modules/undici'))) return checkout(given)
  // The checkout stays as it is; what it needs goes into a copy.
  const name = createHash('sha256').update(given).digest('hex').slice(0, 8)
  const folder = join(work, `checkout-${name}`)
  rmSync(join(folder, 'tests'), { recursive: true, force: true })
  cpSync(given, folder, { recursive: true, filter: path => !path.includes('/.git/') })
  if (!existsSync(join(folder, 'node_modules/undici'))) {
    npm(['install', '--prefix', folder, '--ignore-scripts', '--no-save', '--no-package-lock', 'undici@7', 'liquidjs@10'])
  }
  return checkout(folder)
}

function checkout (folder) {
  return { edition: 'newest', folder, cli: 'test-engine/cli.mjs', server: 'test-engine/server/server.mjs' }
}

function npm (args) {
  execFileSync('npm', [...args, '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error'], { stdio: ['ignore', 'inherit', 'inherit'] })
}

async function cases (folder, edition) {
  const all = (await import(pathToFileURL(join(folder, 'tests/index.mjs')))).default
  const suites = [...all]
  if (edition === 'npm') suites.push((await import(pathToFileURL(join(folder, 'tests/surrogate-control.mjs')))).default)
  const byId = new Map()
  for (const suite of suites) {
    for (const test of suite.tests) {
      if (!test.browser_only) byId.set(test.id, { suite: suite.id, ...test })
    }
  }
  return byId
}

function run (suite, port, origin) {
  return new Promise((resolve, reject) => {
    const env = {
      ...process.env,
      npm_config_base: `http://127.0.0.1:${port}`,
      npm_config_port: String(origin),
      npm_config_id: options.id,
      npm_package_config_id: options.id,
      npm_config_protocol: 'http'
    }
    const child = spawn('node', ['--no-warnings', suite.cli], { cwd: suite.folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
    const late = setTimeout(() => { child.kill(); reject(new Error('the suite takes too long')) }, RUN_MS_MAX)
    let text = ''
    child.stdout.on('data', piece => { text += piece })
    child.on('close', code => {
      clearTimeout(late)
      if (code === 0) resolve(text)
      else reject(new Error(`the suite ended with ${code}`))
    })
  })
}

// The suite's own rule: a case counts only when those it depends on pass.
function verdict (id, byId, results) {
  const test = byId.get(id)
  const result = results[id]
  if (test === undefined || result === undefined) return 'untested'
  for (const dependency of test.depends_on ?? []) {
    if (!['pass', 'yes'].includes(verdict(dependency, byId, results))) return 'dependency'
  }
  const passed = result === true
  if (test.kind === 'check') return passed ? 'yes' : 'no'
  if (passed) return 'pass'
  if (result[0] === 'Setup' || result[0] === 'AbortError') return 'setup'
  return 'fail'
}

function tally (byId, verdicts) {
  const counts = {}
  for (const [id, test] of byId) {
    const kind = test.kind ?? 'required'
    counts[kind] ??= { passed: 0, of: 0 }
    counts[kind].of += 1
    if (['pass', 'yes'].includes(verdicts[id])) counts[kind].passed += 1
  }
  return counts
}

// What is known: id → { verdict, reason }; a case that is not in it must pass.
function compare (known, byId, verdicts, results) {
  const differences = []
  for (const id of byId.keys()) {
    const expected = known[id]?.verdict ?? 'pass'
    const seen = verdicts[id]
    const asExpected = expected === seen || (expected === 'pass' && seen === 'yes')
    if (!asExpected) differences.push(`${id} (${byId.get(id).kind ?? 'required'}): expected ${expected}, seen ${seen}${results[id] === true ? '' : ` (${JSON.stringify(results[id])})`}`)
  }
  for (const [id, { verdict, reason }] of Object.entries(known)) {
    if (!byId.has(id)) differences.push(`${id}: is expected to be ${verdict}, but the suite has no such case`)
    else if (!reason) differences.push(`${id}: is expected to be ${verdict}, but nobody says why`)
  }
  return differences
}

// Of two runs, for each case the one that is as expected, if one is. The suite waits for fixed times, and
// a purge of one URL may hit another one by chance (two share a slot): neither happens twice.
function settled (known, byId, first, second) {
  const [one, two] = [score(byId, first), score(byId, second)]
  const isExpected = (id, verdict) => (known[id]?.verdict ?? 'pass') === (verdict === 'yes' ? 'pass' : verdict)
  const ids = Object.keys(first)
  return Object.fromEntries(ids.map(id => {
    const takesSecond = byId.has(id) && !isExpected(id, one[id]) && isExpected(id, two[id])
    return [id, takesSecond ? second[id] : first[id]]
  }))
}

function expectations (byId, verdicts, known) {
  const expected = {}
  for (const id of [...byId.keys()].sort()) {
    const seen = verdicts[id]
    if (seen !== 'pass' && seen !== 'yes') expected[id] = { verdict: seen, reason: known[id]?.reason ?? '' }
  }
  return expected
}

// Verdicts of all cases for results of the suite.
function score (byId, results) {
  return Object.fromEntries([...byId.keys()].map(id => [id, verdict(id, byId, results)]))
}

async function editions () {
  if (options.suite === undefined) fail('--page wants the newest edition: --suite DIR')
  const all = {}
  for (const the of [suite(options.suite), suite()]) {
    all[the.edition] = { folder: the.folder, byId: await cases(the.folder, the.edition) }
  }
  return all
}

async function main () {
  if (options.page) {
    page(root, await editions(), { score, tally })
    return console.log('wrote docs/conformance.md')
  }
  const the = suite(options.suite)
  const byId = await cases(the.folder, the.edition)
  const port = process.env.CMS_EDGE_TEST_PORT ?? await freePort()
  const origin = process.env.CMS_EDGE_TEST_ORIGIN ?? await freePort()
  const admin = process.env.CMS_EDGE_TEST_ADMIN ?? await freePort()
  const config = options.config ?? join(here, options.profile === 'rfc' ? 'proxy.toml' : 'safe.toml')
  start('node', ['--no-warnings', the.server], {
    npm_config_port: String(origin),
    npm_config_protocol: 'http',
    npm_config_pidfile: join(root, 'target/conformance/origin.pid')
  }, the.folder)
  start(options.binary, ['serve', '--config', config], {
    ...await store(),
    CMS_EDGE_TEST_ORIGIN: String(origin),
    CMS_EDGE_SERVER__HTTP: `127.0.0.1:${port}`,
    CMS_EDGE_ADMIN__LISTEN: `127.0.0.1:${admin}`
  }, root)
  await answers(`http://127.0.0.1:${origin}/`)
  await answers(`http://127.0.0.1:${admin}/readyz`)
  const first = await run(the, port, origin)
  if (options.id !== '') {
    stopAll()
    return console.log(first)
  }
  const file = join(here, `expected-${the.edition}-${options.profile}.json`)
  const known = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  let results = JSON.parse(first)
  const surprises = compare(known, byId, score(byId, results), results)
  if (surprises.length > 0) {
    console.log(`not as expected, so once more:\n  ${surprises.join('\n  ')}`)
    results = settled(known, byId, results, JSON.parse(await run(the, port, origin)))
  }
  stopAll()
  if (options.results) writeFileSync(options.results, JSON.stringify(results))
  const verdicts = score(byId, results)
  const counts = tally(byId, verdicts)
  console.log(`${the.edition} edition, profile ${options.profile}, ${options.store} store: ` +
    Object.entries(counts).map(([kind, { passed, of }]) => `${kind} ${passed}/${of}`).join(', '))
  if (options.update) {
    writeFileSync(file, JSON.stringify(expectations(byId, verdicts, known), null, 2) + '\n')
    return console.log(`wrote ${file}`)
  }
  const differences = compare(known, byId, verdicts, results)
  if (differences.length > 0) fail(`not as expected:\n  ${differences.join('\n  ')}`)
  console.log('every case is as expected')
}

await main().catch(error => fail(error.stack))
