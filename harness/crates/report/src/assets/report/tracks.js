// Draws what is known of each replica over time, one line each, with its own colour and dashes.

const INKS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#999999'];
const DASHES = [[], [7, 3], [2, 2], [9, 2, 2, 2], [4, 4], [1, 3], [12, 3]];
// The same dashes, pixel by pixel.
const PERIODS = DASHES.map((dashes) => (dashes.length ? dashes.flatMap((long, n) => Array(long).fill(n % 2 ? 0 : 1)) : [1]));

function clockPanels({ replicas }) {
  if (!replicas.some((one) => one.clock.values.some(([offset, drift]) => offset || drift))) return [];
  return [{ caption: 'clock offset, in ms', short: 'clocks off, ms', column: 'clock off (ms)', tall: 54, of: clockOffset, draw: drawClocks }];
}

// Lists the numbers that replicas report.
const STEPS = [
  ['term', 'term, as reported by each replica', 'term'],
  ['commit', 'commit index, as reported by each replica', 'committed'],
  ['applied', 'applied index, as reported by each replica', 'applied'],
];

function stepPanels({ replicas }, [name, caption, short]) {
  if (!replicas.some((one) => one[name].values.some((value) => value === value && value !== null))) return [];
  const of = (one, t) => one[name].values[held(one[name], t)];
  return [{ caption, short, column: short, tall: 54, of, draw: (g, view, box) => drawSteps(g, view, box, name) }];
}

// The third and the fourth number of a row are milliseconds and versions.
function stalePanels({ facts: { staleness } }) {
  if (!staleness) return [];
  const row = (one, t) => staleRows(staleness, one).find(([begin]) => begin <= t && t < begin + staleness.stretch);
  const panel = (number, rest) => ({ ...rest, of: (one, t) => row(one, t)?.[number], draw: (g, view, box) => drawStale(g, view, box, number) });
  return [
    panel(2, { caption: 'stalest read, in ms, by the replica that answered', short: 'stalest, ms', column: 'stalest read (ms)', tall: 54 }),
    panel(3, { caption: 'versions behind, by the replica that answered', short: 'behind', column: 'versions behind', tall: 44 }),
  ];
}

const staleRows = ({ replicas }, { name }) => (Object.hasOwn(replicas, name) ? replicas[name] : []);

function ink(g, n) { g.strokeStyle = INKS[n % INKS.length]; g.setLineDash(DASHES[n % DASHES.length]); g.lineWidth = 1.6; }

function drawInks(g, view, from, y, width) {
  view.replicas.forEach((one, n) => {
    const step = width < 600 ? 38 : 46, at = from + n * step;
    if (at + step > width) return;
    ink(g, n);
    g.beginPath(); g.moveTo(at, y - 4); g.lineTo(at + 16, y - 4); g.stroke(); g.setLineDash([]);
    g.fillText(plain(one.name), at + 19, y, 26);
  });
}

// Draws the values that replicas report: each holds until the next, and the line breaks where there is no report.
function drawSteps(g, view, box, name) {
  const { from, to, top, tall, x } = box;
  let low = Infinity, high = -Infinity;
  const parts = view.replicas.map((one) => {
    const { times, values } = one[name], begin = Math.max(0, held(one[name], from)), stop = lowest(times.length, (k) => times[k], to);
    for (let k = begin; k < stop; k++) { if (values[k] < low) low = values[k]; if (values[k] > high) high = values[k]; }
    return { times, values, begin, stop };
  });
  if (low > high) return [[top + tall / 2, 'none']];
  const y = (value) => top + tall - 4 - ((value - low) / Math.max(1, high - low)) * (tall - 8);
  const lines = sheet(name, box.width - box.left, tall);
  parts.forEach((part, n) => drawLine(lines, view, box, part, (value) => y(value) - top, n));
  lay(g, lines, box.left, top);
  return low === high ? [[y(low), number(low)]] : [[y(high), number(high)], [y(low), number(low)]];
}

// Draws one such line. Changes within one pixel are skipped.
function drawLine(lines, view, { to, x, left }, { times, values, begin, stop }, y, n) {
  const colour = view.colours.inks[n % INKS.length], end = Math.min(to, view.run.axes.time.last);
  let before = NaN, since = -Infinity;
  for (let k = begin; k < stop; k++) {
    const until = x(k + 1 < times.length ? Math.min(to, times[k + 1]) : end) - left;
    if (values[k] !== values[k]) { before = NaN; continue; }
    if (before === before && until - since < 1 && k + 1 < stop) continue;
    const from = Math.max(since, x(times[k]) - left), at = y(values[k]);
    dash(lines, before === before ? from : x(times[k]) - left, until, at, colour, PERIODS[n % PERIODS.length]);
    if (before === before) mark(lines, from, Math.min(before, at) - 1, from + 1, Math.max(before, at) + 1, colour);
    before = at; since = until;
  }
}

function drawClocks(g, view, box) {
  const { from, to, top, tall, left, width } = box, points = Math.max(2, Math.floor((width - left) / 2)), step = (to - from) / points;
  const all = view.replicas.map((one) => Float64Array.from({ length: points + 1 }, (_, n) => clockOffset(one, from + n * step)));
  let low = 0, high = 0;
  for (const offsets of all) for (const off of offsets) { if (off < low) low = off; if (off > high) high = off; }
  const y = (off) => top + tall - 4 - ((off - low) / Math.max(1e-9, high - low)) * (tall - 8);
  g.fillStyle = view.colours.line; g.fillRect(left, y(0), width - left, 1);
  all.forEach((offsets, n) => {
    ink(g, n);
    g.beginPath();
    offsets.forEach((off, k) => (k ? g.lineTo(left + k * 2, y(off)) : g.moveTo(left, y(off))));
    g.stroke(); g.setLineDash([]);
  });
  return [...new Set([low, 0, high])].map((off) => [y(off), number(off)]);
}

// Draws the stalest read of each stretch; fresh reads lie on the axis.
function drawStale(g, view, { top, tall, x, from, to }, column) {
  const { stretch, replicas } = view.facts.staleness;
  let most = 0;
  const seen = (row) => row[0] + stretch >= from && row[0] <= to;
  for (const rows of Object.values(replicas)) for (const row of rows) if (seen(row)) most = Math.max(most, row[column]);
  const y = (value) => top + tall - 4 - (most ? value / most : 0) * (tall - 8);
  view.replicas.forEach((one, n) => {
    ink(g, n);
    g.beginPath();
    let until = NaN;
    for (const row of staleRows(view.facts.staleness, one)) {
      if (!seen(row)) continue;
      if (Math.abs(row[0] - until) < 1) g.lineTo(x(row[0]), y(row[column])); else g.moveTo(x(row[0]), y(row[column]));
      g.lineTo(x(until = row[0] + stretch), y(row[column]));
    }
    g.stroke(); g.setLineDash([]);
  });
  return [[y(most), number(most)], [top + tall, '0']];
}
