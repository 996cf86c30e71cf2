// Shows one run: settings, verdict, faults and files; and judges it again.

const pairs = (facts) => element('dl', facts.filter(([, what]) => what !== undefined && what !== null && what !== '')
  .map(([name, what]) => element('div', [element('dt', name), element('dd', what)])));

function config({ config: asked, started, harness, net, machine }, counts) {
  const sum = (kind) => Object.values(counts?.functions ?? {}).reduce((sum, one) => sum + one[kind], 0);
  return pairs([
    ['system', asked.system], ['workload', asked.workload], ['nemesis', asked.nemesis.join(', ') || asked.schedule || 'none'], ['nodes', asked.nodes], ['seed', asked.seed],
    ['seeded bugs', asked.unsafe.join(', ')], ['clients', asked.concurrency], ['rate', asked.rate + '/s'], ['time limit', asked.time_limit_ms / 1000 + ' s'],
    ['operations', counts && `${sum('ok')} ok, ${sum('fail')} fail, ${sum('info')} info`], ['network', net.backend], ['machine', machine.kernel], ['started', started], ['harness', harness],
  ]);
}

const checks = (all) => table(['check', 'verdict', 'in words'], all.map((one) => row([one.name, verdict(one.validity), one.sentence])), 'checks');

function faults(all) {
  if (!all.length) return note('No faults were injected.');
  return table(['#', 'fault', 'target', 'when', 'state', 'evidence'], all.map((one) => row([one.id, one.variant ? `${one.kind}:${one.variant}` : one.kind, one.target, lasted(one), stateName(one.state), one.evidence])), 'faults');
}

// Shows the verdict of the present checker beside the recorded one.
function again(told) {
  const line = ({ check, exit, said }) => {
    const first = said?.histories?.[0], now = first?.verdict;
    return row([check, now ? verdict(now.validity) : `exit code ${exit}`, now?.sentence ?? first?.unreadable?.error ?? (typeof said === 'string' ? said : '')]);
  };
  return [table(['check', 'verdict now', 'message'], told.checks.map(line), 'checked again'), note('Written to ' + told.file + '; existing files are unchanged.')];
}

async function judge(run, place) {
  place.replaceChildren(element('p', 'judging…'));
  try {
    place.replaceChildren(...again(await ask(`/api/recheck/${way(run)}`, { method: 'POST', headers: { 'x-harness': '1' } })));
  } catch (error) { place.replaceChildren(element('p', error.message, { role: 'alert' })); }
}

function copyable(text) {
  const said = element('span', '', { role: 'status' });
  const copy = () => navigator.clipboard?.writeText(text).then(() => { said.textContent = ' copied'; }, () => { said.textContent = ' the browser denies access to the clipboard'; });
  return element('p', [element('code', text, { class: 'command' }), ' ', button('copy', copy), said]);
}

function actions(run, said, place) {
  const choose = () => { taken = [run]; location.hash = ''; };
  const kind = said && link('runs of its kind', address({ q: said.kind }));
  return element('p', [
    ...(said ? [link('report', `/files/${way(run)}/report.html`), ' '] : [link('follow', `#live=${way(run)}`), ' ']), link('zip', `/zip/${way(run)}`), ' ', ...(kind ? [kind, ' '] : []),
    ...(said ? [button('judge again', () => judge(run, place)), ' '] : []), button('compare with…', choose),
  ]);
}

async function one(run) {
  const { run: record, verdict: said, files } = await ask(`/api/run/${way(run)}`);
  const place = element('div'), kind = `workload:${record.config.workload} system:${record.config.system}`;
  const reasons = (said?.reasons ?? []).filter(({ text }) => text !== said.sentence).map(({ validity, text }) => element('p', [verdict(validity), ' ', text]));
  return [
    element('div', [element('p', said ? verdict(said.validity) : 'running', { class: 'badge' }), element('h2', said?.sentence ?? run), note(run), ...reasons], { class: 'top ' + (said?.validity ?? '') }),
    actions(run, said && { kind }, place), place, copyable(record.repro), part('Options', config(record, said?.counts)),
    ...(said ? [part('Checks', checks(said.checks)), part('Faults', faults(said.faults))] : []),
    part('Files', element('ul', files.map((file) => element('li', link(file, `/files/${way(run)}/${way(file)}`))), { class: 'files' })),
  ];
}
