// Shows two runs side by side, differences first.

// Returns every leaf of a value, by its path.
function leaves(value, at = '', into = {}) {
  if (value !== null && typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) leaves(inner, at ? `${at}.${key}` : key, into);
  } else into[at] = value;
  return into;
}

const told = ({ run, verdict: said }) => leaves({
  verdict: said && { validity: said.validity, sentence: said.sentence, counts: said.counts, latency: said.latency,
    faults: said.faults.map((fault) => `${fault.kind}:${fault.variant} ${fault.target} ${fault.state}`), deaths: said.deaths.length },
  config: run.config, machine: run.machine, net: run.net.backend, harness: run.harness, timings: run.timings,
});

async function compare(a, b) {
  const sides = (await Promise.all([a, b].map((run) => ask(`/api/run/${way(run)}`)))).map(told);
  const keys = [...new Set(sides.flatMap(Object.keys))], differs = (key) => sides[0][key] !== sides[1][key];
  const line = (key) => row([key, ...sides.map((side) => side[key] ?? '–')], differs(key) ? { class: 'differs' } : {});
  const [apart, same] = [keys.filter(differs), keys.filter((key) => !differs(key))];
  return [element('p', `${apart.length} of ${keys.length} values differ; these come first.`), table(['what', runLink(a), runLink(b)], [...apart, ...same].map(line), 'both runs')];
}
