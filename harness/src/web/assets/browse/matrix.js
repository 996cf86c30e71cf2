// Shows which workloads met which faults in the last nights, and the results.

const NIGHTS = 14;

function tally(counts, words) {
  if (!counts) return '';
  const parts = VERDICTS.filter((name) => counts[name]).map((name) => element('span', `${MARK[name]} ${counts[name]}`, { class: name, title: name }));
  const told = parts.flatMap((one, n) => (n ? [' ', one] : [one]));
  if (counts.flake_rate) told.push(' ', element('span', `${(100 * counts.flake_rate).toFixed(1)} % differ`, { class: 'faint' }));
  return words ? link(told, address({ q: words })) : element('span', told);
}

async function matrix() {
  const answer = await ask(`/api/matrix?${query({ nights: NIGHTS })}`);
  const nemeses = [...new Set(Object.values(answer.cells).flatMap(Object.keys))].sort();
  const line = ([workload, cells]) => row([workload, ...nemeses.map((nemesis) => tally(cells[nemesis], `workload:${workload} nemesis:${nemesis}`))]);
  const nights = Object.entries(answer.nights).reverse().map(([day, counts]) => row([day, tally(counts)]));
  const rate = (100 * answer.total.flake_rate).toFixed(1);
  return [
    element('p', `The last ${NIGHTS} days, without runs with seeded bugs. Flake rate: ${rate} % of runs differ from most of their kind.`),
    nights.length ? table(['workload', ...nemeses], Object.entries(answer.cells).map(line), 'workloads and faults') : note('No runs in this period.'),
    table(['night', 'runs'], nights, 'nights'),
  ];
}
