// Shows what `harness serve` answers. All text goes in as text, never as markup.

const main = document.getElementById('main');
const [q, sort, reverse] = ['q', 'sort', 'reverse'].map((id) => document.getElementById(id));
const MARK = { valid: '✓', unknown: '?', invalid: '✗' };
const PAGE = 100;
let follower = null; // the one run that is followed
let compared = null; // the run that another is to be compared with

const element = (tag, content = [], attributes = {}) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'onclick') made.addEventListener('click', value);
    else made.setAttribute(name, value);
  }
  made.append(...[content].flat().map((part) => (part instanceof Node ? part : String(part))));
  return made;
};
const row = (cells, head = false) =>
  element('tr', cells.map((cell) => (cell?.tagName === 'TD' ? cell : element(head ? 'th' : 'td', cell ?? ''))));
const table = (head, rows) => element('table', [element('thead', row(head, true)), element('tbody', rows)]);
const verdict = (validity) => element('span', `${MARK[validity] ?? ''} ${validity}`, { class: validity });
const way = (run) => run.split('/').map(encodeURIComponent).join('/');
const link = (text, href) => element('a', text, { href });
const runLink = (run) => link(run, `#run=${way(run)}`);

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer.json();
}

function words(extra = {}) {
  return new URLSearchParams({ q: q.value, sort: sort.value, reverse: reverse.checked, ...extra });
}

async function list(from = 0) {
  const answer = await ask(`/api/runs?${words({ from, count: PAGE })}`);
  const rows = answer.runs.map((run) => row([
    verdict(run.validity), run.started, run.workload, run.nemesis, run.nodes || '', run.seed,
    (run.unsafe ?? []).join(', '), run.nodes ? run.ok : '', runLink(run.run), run.sentence,
  ]));
  const head = ['verdict', 'started', 'workload', 'nemesis', 'nodes', 'seed', 'unsafe', 'ok', 'run', 'because'];
  const shown = `${answer.runs.length ? from + 1 : 0}–${from + answer.runs.length} of ${answer.all} runs`;
  const damaged = answer.damaged ? `; ${answer.damaged} damaged lines of the index are left out` : '';
  const turn = (text, to) => element('button', text, { onclick: () => show(() => list(to)) });
  const turns = [];
  if (from > 0) turns.push(turn('newer', Math.max(0, from - PAGE)), ' ');
  if (from + PAGE < answer.all) turns.push(turn('more', from + PAGE));
  return [element('p', [shown + damaged, ' ', ...turns]), table(head, rows)];
}

function tally(cell, words) {
  if (!cell) return '';
  const parts = ['valid', 'unknown', 'invalid'].filter((name) => cell[name])
    .map((name) => element('span', `${MARK[name]} ${cell[name]} `, { class: name }));
  if (cell.flake_rate) parts.push(element('span', `${(100 * cell.flake_rate).toFixed(1)} % differ`, { class: 'faint' }));
  const made = element('td', parts);
  if (words) {
    made.tabIndex = 0;
    const go = () => { q.value = words; location.hash = ''; show(list); };
    made.addEventListener('click', go);
    made.addEventListener('keydown', (event) => event.key === 'Enter' && go());
  }
  return made;
}

async function matrix() {
  const answer = await ask(`/api/matrix?${words({ nights: 14 })}`);
  const nemeses = [...new Set(Object.values(answer.cells).flatMap(Object.keys))].sort();
  const rows = Object.entries(answer.cells).map(([workload, cells]) => row([
    workload, ...nemeses.map((nemesis) => tally(cells[nemesis], `workload:${workload} nemesis:${nemesis}`)),
  ]));
  const nights = Object.entries(answer.nights).reverse().map(([day, cell]) => row([day, tally(cell)]));
  const rate = (100 * answer.total.flake_rate).toFixed(1);
  return [
    element('p', `The last 14 days, without runs with seeded bugs. Flake rate: ${rate} % of runs differ from most of their kind.`),
    table(['workload', ...nemeses], rows), table(['night', 'runs'], nights),
  ];
}

async function one(run) {
  const { run: record, verdict: said, files } = await ask(`/api/run/${way(run)}`);
  const base = `/files/${way(run)}`;
  const parts = [element('h2', run), element('p', said ? [verdict(said.validity), ': ', said.sentence] : 'not over')];
  const judged = element('pre', '');
  const again = async () => {
    judged.textContent = 'judging…';
    try {
      judged.textContent = JSON.stringify(await ask(`/api/recheck/${way(run)}`, { method: 'POST', headers: { 'x-harness': '1' } }), null, 1);
    } catch (error) { judged.textContent = error.message; }
  };
  const keep = () => { compared = run; show(list); };
  const actions = [link('report', `${base}/report.html`), ' ', link('zip', `/zip/${way(run)}`), ' ',
    element('button', 'judge again', { onclick: again }), ' ', element('button', 'compare with…', { onclick: keep }), ' '];
  if (!said) actions.push(link('follow', `#live=${way(run)}`), ' ');
  if (compared && compared !== run) actions.push(link(`compare with ${compared}`, `#compare=${way(compared)}&with=${way(run)}`));
  parts.push(element('p', actions), element('p', 'repro:'), element('pre', record.repro), judged);
  parts.push(element('ul', files.map((file) => element('li', link(file, `${base}/${way(file)}`)))));
  return parts;
}

// Every leaf of a value, by the way that leads to it.
function leaves(value, at = '', into = {}) {
  if (value !== null && typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) leaves(inner, at ? `${at}.${key}` : key, into);
  } else into[at] = value;
  return into;
}

async function compare(a, b) {
  const both = await Promise.all([a, b].map((run) => ask(`/api/run/${way(run)}`)));
  const sides = both.map(({ run, verdict: said }) => leaves({
    config: run.config, machine: run.machine, net: run.net.backend, harness: run.harness, timings: run.timings,
    verdict: said && { validity: said.validity, sentence: said.sentence, counts: said.counts, latency: said.latency,
      faults: said.faults.map((fault) => `${fault.kind}:${fault.variant} ${fault.target} ${fault.state}`),
      deaths: said.deaths.length },
  }));
  const keys = [...new Set(sides.flatMap(Object.keys))];
  const rows = keys.map((key) => {
    const made = row([key, ...sides.map((side) => side[key] ?? '–')]);
    if (sides[0][key] !== sides[1][key]) made.className = 'differs';
    return made;
  });
  rows.sort((x, y) => (y.className === 'differs') - (x.className === 'differs'));
  return [element('p', 'What differs comes first.'), table(['', runLink(a), runLink(b)], rows)];
}

async function live() {
  const runs = await ask('/api/live');
  if (!runs.length) return [element('p', 'No run is going on. Start one with `harness test`, then look again.')];
  return [element('ul', runs.map((run) => element('li', link(run, `#live=${way(run)}`))))];
}

function follow(run) {
  const told = element('pre', 'waiting…');
  follower = new EventSource(`/api/live/${way(run)}`);
  let last = null;
  follower.addEventListener('progress', ({ data }) => {
    const now = JSON.parse(data);
    const since = last ? (now.time - last.time) / 1e9 : 0;
    const rate = since > 0 ? Math.round((now.ok + now.fail + now.info - last.ok - last.fail - last.info) / since) : 0;
    last = now;
    told.textContent = `${(now.time / 1e9).toFixed(1)} s   ${rate}/s   ${now.ok} ok, ${now.fail} fail, ${now.info} info, `
      + `${now.invoked - now.ok - now.fail - now.info} in flight\nlast fault: ${now.nemesis ?? '–'}`;
  });
  follower.addEventListener('verdict', () => { follower.close(); location.hash = `run=${way(run)}`; });
  return [element('h2', run), told];
}

async function show(view) {
  follower?.close();
  main.setAttribute('aria-busy', 'true');
  try { main.replaceChildren(...await view()); } catch (error) { main.replaceChildren(element('p', error.message, { role: 'alert' })); }
  main.removeAttribute('aria-busy');
}

function route() {
  const asked = new Map(location.hash.slice(1).split('&').map((part) => part.split('=').map(decodeURIComponent)));
  if (asked.has('matrix')) return show(matrix);
  if (asked.get('live')) return show(() => follow(asked.get('live')));
  if (asked.has('live')) return show(live);
  if (asked.get('run')) return show(() => one(asked.get('run')));
  if (asked.get('compare')) return show(() => compare(asked.get('compare'), asked.get('with')));
  return show(list);
}

let typing = 0;
const refresh = () => show(location.hash.startsWith('#matrix') ? matrix : list);
q.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(refresh, 200); });
sort.addEventListener('change', refresh);
reverse.addEventListener('change', refresh);
document.getElementById('ask').addEventListener('submit', (event) => { event.preventDefault(); refresh(); });
addEventListener('hashchange', route);
route();
