// Lists runs, page by page; two of them can be selected for comparison.

const PAGE = 100;
// The columns that can be sorted by.
const HEADS = [
  ['pick', null], ['verdict', 'validity'], ['started', 'started'], ['workload', 'workload'], ['nemesis', 'nemesis'], ['nodes', null],
  ['seed', null], ['unsafe', null], ['ok', 'operations'], ['took', 'took'], ['run', null],
];
const VERDICTS = ['invalid', 'unknown', 'valid'];
let taken = []; // at most two runs

// Returns the query of the form as the address has it.
const words = () => ({ q: q.value.trim(), sort: sort.value === 'started' ? '' : sort.value, reverse: reverse.checked ? 'true' : '' });
const query = (extra) => new URLSearchParams({ q: q.value, sort: sort.value, reverse: reverse.checked, ...extra });

function sortBy(by) {
  if (sort.value === by) reverse.checked = !reverse.checked; else { sort.value = by; reverse.checked = false; }
  location.hash = address(words());
}

function head([title, by]) {
  if (!by) return title;
  const now = sort.value === by;
  return element('button', title + (now ? (reverse.checked ? ' ▴' : ' ▾') : ''), { type: 'button', class: 'head', 'aria-pressed': String(now), onclick: () => sortBy(by) });
}

// Links to the most common queries.
function choices() {
  const rest = q.value.split(/\s+/).filter((word) => word && !/^-?validity:/.test(word)), now = /(?:^|\s)validity:(\S+)/.exec(q.value)?.[1];
  const choice = (name, text) => link(text, address({ ...words(), q: [...rest, ...(name ? ['validity:' + name] : [])].join(' ') }), (now ?? '') === name ? { 'aria-current': 'true' } : {});
  return element('nav', [choice('', 'all'), ...VERDICTS.flatMap((name) => [' ', choice(name, `${MARK[name]} ${name}`)])], { class: 'choices', 'aria-label': 'verdicts' });
}

function take(run, is) {
  taken = [...taken.filter((one) => one !== run), ...(is ? [run] : [])].slice(-2);
  document.querySelectorAll('[data-run]').forEach((box) => { box.checked = taken.includes(box.dataset.run); });
  document.getElementById('taken').replaceChildren(...pair());
}

// Actions on the selected runs.
function pair() {
  if (taken.length === 2) return [link('compare the two', `#compare=${way(taken[0])}&with=${way(taken[1])}`)];
  return taken.length ? [`choose a run to compare ${taken[0]} with`] : [];
}

function listed(run) {
  const box = element('input', [], { type: 'checkbox', 'data-run': run.run, 'aria-label': 'compare ' + run.run, checked: taken.includes(run.run), onchange: (event) => take(run.run, event.target.checked) });
  const line = row([box, verdict(run.validity), run.started.replace('T', ' ').replace('Z', ''), run.workload, run.nemesis.replaceAll(',', ', '), run.nodes || '', run.seed,
    (run.unsafe ?? []).join(', '), run.nodes ? run.ok : '', run.took_ms ? (run.took_ms / 1000).toFixed(1) + '\u00a0s' : '', runLink(run.run)]);
  return [line, row([element('td', run.sentence, { colspan: String(HEADS.length - 1) })], { class: 'because' })];
}

async function runs(from) {
  const answer = await ask(`/api/runs?${query({ from, count: PAGE })}`);
  const shown = `${answer.runs.length ? from + 1 : 0}–${from + answer.runs.length} of ${answer.all} runs, times in UTC`;
  const damaged = answer.damaged ? `; ${answer.damaged} damaged lines of the index are left out` : '';
  const turn = (text, to) => link(text, address({ ...words(), from: to }));
  const turns = [...(from > 0 ? [' ', turn('newer', Math.max(0, from - PAGE))] : []), ...(from + PAGE < answer.all ? [' ', turn('more', from + PAGE)] : [])];
  const nothing = q.value.trim() ? 'No matching runs.' : 'No runs yet. `harness test` creates one.';
  const top = element('p', [shown + damaged, ...turns, ' ', element('span', pair(), { id: 'taken', 'aria-live': 'polite' })]);
  return [choices(), top, answer.runs.length ? table(HEADS.map(head), answer.runs.flatMap(listed), 'runs') : note(nothing)];
}
