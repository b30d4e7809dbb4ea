// Writes docs/conformance.md: our row beside those that the suite publishes, and what fails and why.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const NAMES = {
  trafficserver: 'Apache Traffic Server',
  apache: 'Apache httpd',
  squid: 'Squid',
  caddy: 'Souin (Caddy)',
  varnish: 'Varnish',
  nginx: 'nginx',
  fastly: 'Fastly',
  haproxy: 'HAProxy'
}
const PROFILES = { rfc: '`profile = "rfc"`', safe: 'safe defaults' }
const VERDICTS = {
  fail: 'fails',
  no: 'no',
  setup: 'is not reached',
  dependency: 'does not count: one it depends on fails',
  untested: 'is not run'
}

// `editions`: { newest: { folder, byId }, npm: { folder, byId } }; `score(byId, results)` gives the
// verdicts, `tally(byId, verdicts)` the counts.
export function page (root, editions, { score, tally }) {
  const lines = [
    '# Conformance',
    '',
    '<!-- Written by `node tests/conformance/run.mjs --suite DIR --page`. -->',
    '',
    'The public HTTP cache tests (<https://github.com/http-tests/cache-tests>) check how a cache keeps to',
    'RFC 9111 and what stands around it. They are an assessment tool, not a certificate. Their cases are',
    '*required* (the RFC says MUST), *optimal* (a cache that does so serves more from its store), or',
    '*check* (how a cache behaves, with no right or wrong). A case counts only where those it depends on',
    'pass.',
    '',
    '`node tests/conformance/run.mjs` runs them against the built program over real sockets and compares',
    'every case with the expectation files beside it. `tests/conformance/proxy.toml` and',
    '`tests/conformance/safe.toml` are the configurations. The store is memory, or with `--store redis` a',
    'Redis without memory before it: the same is expected of both.',
    '',
    '## Required and optimal cases passed, newest edition',
    '',
    '| cache | required | optimal |',
    '| --- | ---: | ---: |'
  ]
  const row = (name, counts) =>
    `| ${name} | ${counts.required.passed} of ${counts.required.of} | ${counts.optimal.passed} of ${counts.optimal.of} |`
  const { newest, npm } = editions
  for (const [profile, name] of Object.entries(PROFILES)) {
    lines.push(row(`**cms-edge**, ${name}`, tally(newest.byId, expected(root, 'newest', profile, newest.byId))))
  }
  const published = Object.entries(NAMES)
    .map(([file, name]) => ({ name, path: join(newest.folder, `results/${file}.json`) }))
    .filter(({ path }) => existsSync(path))
    .map(({ name, path }) => ({ name, counts: tally(newest.byId, score(newest.byId, JSON.parse(readFileSync(path, 'utf8')))) }))
    .sort((one, other) => other.counts.required.passed - one.counts.required.passed)
  for (const { name, counts } of published) lines.push(row(name, counts))
  lines.push('', 'The other rows are counted by the same rule from the results that the suite publishes.', '')
  lines.push('## The edition on npm', '', '| cache | required | optimal |', '| --- | ---: | ---: |')
  for (const [profile, name] of Object.entries(PROFILES)) {
    lines.push(row(`cms-edge, ${name}`, tally(npm.byId, expected(root, 'npm', profile, npm.byId))))
  }
  for (const [edition, { byId }] of Object.entries(editions)) {
    lines.push('', ...failures(root, edition, byId))
  }
  writeFileSync(join(root, 'docs/conformance.md'), lines.join('\n') + '\n')
}

function known (root, edition, profile) {
  return JSON.parse(readFileSync(join(root, `tests/conformance/expected-${edition}-${profile}.json`), 'utf8'))
}

function expected (root, edition, profile, byId) {
  const entries = known(root, edition, profile)
  return Object.fromEntries([...byId.keys()].map(id => [id, entries[id]?.verdict ?? 'pass']))
}

// One table a kind; the profiles side by side.
function failures (root, edition, byId) {
  const profiles = Object.keys(PROFILES).map(profile => known(root, edition, profile))
  const lines = [`## What is not passed, and why: ${edition === 'npm' ? 'the edition on npm' : 'newest edition'}`]
  for (const kind of ['required', 'optimal', 'check']) {
    const ids = [...byId].filter(([id, test]) => (test.kind ?? 'required') === kind && profiles.some(entries => entries[id]))
    lines.push('', `### ${kind[0].toUpperCase()}${kind.slice(1)}`, '')
    if (ids.length === 0) {
      lines.push('Nothing.')
      continue
    }
    lines.push(`| case | ${Object.values(PROFILES).join(' | ')} | why |`, '| --- | --- | --- | --- |')
    for (const [id] of ids) {
      const verdicts = profiles.map(entries => entries[id] ? VERDICTS[entries[id].verdict] : 'passes')
      const reasons = new Set(profiles.map(entries => entries[id]?.reason).filter(Boolean))
      lines.push(`| \`${id}\` | ${verdicts.join(' | ')} | ${[...reasons].join(' ')} |`)
    }
  }
  return lines
}
