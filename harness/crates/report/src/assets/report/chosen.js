// Shows the details of the selection: an operation as it was recorded, or the state of a replica at one time.

function choose(page, i) {
  if (i === undefined || i < 0) return;
  page.view.chosen = i;
  describe(by('drawer'), facts(page.run, i, page.told));
  by('raw').textContent = recorded(page).split('\n').map(plain).join('\n');
  by('chosen').hidden = false;
  by('trail').replaceChildren();
  tellLog(page);
  chooseInGrid(page.list, i);
  bring(page, i);
}

const recorded = ({ run, view }) => eventLines(run, view.chosen).map(([, line]) => line).join('\n');

// Finds where the operation's values were written and read.
function tellTrails(page) {
  const trails = provenance(page.run, page.view.chosen).map((trail) => tellTrail(page, trail));
  by('trail').replaceChildren(...(trails.length ? trails : [element('p', 'This operation has no value.')]));
}

const STRETCH = 200;
function tellTrail(page, { key, value, operations }) {
  const box = element('div', ''), items = element('ol', '');
  box.append(element('p', 'value ' + plain(value) + (key === null ? '' : ' of key ' + plain(key)) + ': ' + operations.length + ' operations'), items);
  const more = (from) => {
    const to = from + STRETCH;
    items.append(...operations.slice(from, to).map((j) => tellDeed(page, j)));
    if (to >= operations.length) return;
    const next = button('show more', () => { next.remove(); more(to); });
    box.append(next);
  };
  more(0);
  return box;
}

function tellDeed(page, j) {
  const { run } = page, item = element('li', seconds(run.start[j]) + ' ' + deed(run, j) + ': ');
  item.append(button(short(run, j) + ' ' + OUTCOMES[run.outcome[j]] + ' by process ' + run.process[j], () => choose(page, j)));
  return item;
}

// Shows the log of its replica, or of another, around the operation.
function tellLog(page) {
  const { run, replicas } = page, i = page.view.chosen;
  by('around-it').hidden = i < 0;
  if (i < 0) return;
  const own = run.node[i] ? JSON.parse(run.word(run.node[i])) : null, asked = by('whose').selectedIndex - 1;
  const wanted = asked >= 0 ? [replicas[asked]] : replicas.filter((one) => one.name === own);
  tellLogs(wanted, run.start[i], run.outcome[i] ? run.end[i] : run.start[i]);
}

function tellLogs(replicas, from, to) {
  const around = Number(by('around').value) * 1e9;
  by('log').replaceChildren(...replicas.map((one) => excerpt(one, from, to, around)));
}

// Describes the replicas of some hosts at one place of the axis, and the faults on them then.
function tellHosts(page, hosts, place) {
  const { view, told, replicas } = page, moment = timeOf(view, place);
  const met = told.faults.filter((fault) => hosts.some((row) => told.hosts[row].faults.includes(fault.id)) && during(page, fault, place));
  const stood = hosts.filter((row) => view.replicas[row]).map((row) => ['replica, at ' + seconds(moment), standing(view.replicas[row], moment)]);
  const rows = [...stood, ...met.map((fault) => ['fault', plain(fault.story)])];
  if (rows.length === 0) return;
  view.chosen = -1;
  by('chosen').hidden = true;
  by('around-it').hidden = false;
  describe(by('drawer'), rows);
  tellLogs(hosts.filter((row) => replicas[row]).map((row) => replicas[row]), moment, moment);
  redraw(page);
}

function during({ view, run }, fault, place) {
  return view.placed(fault.started) <= place && place <= view.placed(fault.ended ?? run.axes.time.last);
}

// Names what is missing of replicas and plots, and why.
function remarks({ replicas, facts }) {
  const said = [];
  if (facts.hosts.length && !replicas.length) said.push('This run has no observations of replicas: an older version recorded it.');
  const never = replicas.filter((one) => one.said.values.every((value) => value === null)).map((one) => plain(one.name));
  if (never.length) said.push(never.join(', ') + ' never reported ' + (never.length === 1 ? 'its state.' : 'their state.'));
  else if (replicas.length && !replicas.some((one) => one.commit.values.some((value) => value === value))) said.push('This system reports no commit index.');
  return said.join(' ');
}

function copy(text) {
  navigator.clipboard?.writeText(text).then(() => tell('Copied.'), () => tell('The browser denies access to the clipboard.'));
}

function hearChosen(page) {
  for (const one of page.replicas) by('whose').append(element('option', plain(one.name)));
  for (const id of ['around', 'whose']) by(id).addEventListener('change', () => tellLog(page));
  by('provenance').addEventListener('click', () => tellTrails(page));
  by('copy-json').addEventListener('click', () => copy(recorded(page)));
  by('copy-link').addEventListener('click', () => { address(page); copy(location.href); });
  by('copy-command')?.addEventListener('click', () => copy(by('command').textContent));
}
