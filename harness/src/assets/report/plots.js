// Draws what clients got and what replicas said over the part of the run that the timeline shows, above its faults.

// Latencies are counted in bins that grow by a sixteenth of a decade, from a microsecond to a hundred seconds.
const PER_DECADE = 16, BINS = 128, LOWEST = 3;
const CELLS = 4096;
// Up to so many operations are counted one by one, up to so few are drawn one by one.
const COUNTED = 80000, DOTTED = 2500;
// A column of a plot, in pixels, and the room above a plot for its caption.
const COLUMN = 3, CAPTION = 17;
const QUANTILES = [[0.5, []], [0.9, [6, 2]], [0.99, [3, 2]], [0.999, [1, 2]]];
// Each replica has a colour and a way of dashing.
const INKS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#999999'];
const DASHES = [[], [7, 3], [2, 2], [9, 2, 2, 2], [4, 4], [1, 3], [12, 3]];
// The same, pixel by pixel.
const PERIODS = DASHES.map((dashes) => (dashes.length ? dashes.flatMap((long, n) => Array(long).fill(n % 2 ? 0 : 1)) : [1]));

const binOf = (ns) => Math.max(0, Math.min(BINS - 1, Math.floor((Math.log10(Math.max(1, ns)) - LOWEST) * PER_DECADE)));

// The operations that pass, counted in cells of time: how they ended, how long they took, how many were under way.
function summary(run, shown) {
  const last = run.axes.time.last, cell = (t) => Math.min(CELLS - 1, Math.floor((t / last) * CELLS));
  const made = { shown, last, counts: new Uint32Array(CELLS * 4), bins: new Uint32Array(CELLS * BINS), worst: new Uint8Array(CELLS * BINS), flight: new Float64Array(CELLS), level: new Int32Array(CELLS + 1), bin: new Uint8Array(shown.length) };
  // How far into a cell a moment is, in cells: what of the cell is left counts.
  const left = (t, c) => c + 1 - (t / last) * CELLS;
  const ends = new Uint32Array(CELLS + 1);
  shown.forEach((i, k) => {
    const rank = RANK[run.outcome[i]], at = cell(run.start[i]), open = run.end[i] === Infinity;
    const bin = made.bin[k] = open ? BINS : binOf(run.end[i] - run.start[i]);
    made.counts[at * 4 + rank]++; made.level[at + 1]++; made.flight[at] += left(run.start[i], at);
    if (open) return;
    const to = cell(run.end[i]);
    ends[to + 1]++; made.level[to + 1]--; made.flight[to] -= left(run.end[i], to);
    if (rank === 1) made.bins[at * BINS + bin]++;
    if (made.worst[at * BINS + bin] < rank) made.worst[at * BINS + bin] = rank;
  });
  for (let c = 0; c < CELLS; c++) { made.flight[c] += made.level[c]; made.level[c + 1] += made.level[c]; ends[c + 1] += ends[c]; }
  // Those that end in one cell stand together, so that a part of the run need not look at all.
  made.ends = ends; made.byEnd = new Uint32Array(ends[CELLS]);
  const next = ends.slice();
  for (const i of shown) if (run.end[i] !== Infinity) made.byEnd[next[cell(run.end[i])]++] = i;
  return made;
}

// What is drawn of the operations between two moments, in so many columns.
function columnsOf(run, made, from, to, columns) {
  const told = { counts: new Uint32Array(columns * 4), bins: new Uint32Array(columns * BINS), worst: new Uint8Array(columns * BINS), flight: new Float64Array(columns) };
  const { shown } = made, begin = lowest(shown.length, (k) => run.start[shown[k]], from), stop = lowest(shown.length, (k) => run.start[shown[k]], to);
  const column = (t) => Math.max(0, Math.min(columns - 1, Math.floor(((t - from) / (to - from)) * columns)));
  told.few = stop - begin <= DOTTED; told.begin = begin; told.stop = stop;
  if (stop - begin > COUNTED) byCells(made, told, from, to, columns, column);
  else byOperations(run, made, told, { from, to, begin, stop, column });
  return told;
}

function byOperations(run, made, told, { from, to, begin, stop, column }) {
  for (let k = begin; k < stop; k++) {
    const i = made.shown[k], rank = RANK[run.outcome[i]], at = column(run.start[i]), bin = made.bin[k];
    told.counts[at * 4 + rank]++;
    if (bin === BINS) continue;
    if (rank === 1) told.bins[at * BINS + bin]++;
    if (told.worst[at * BINS + bin] < rank) told.worst[at * BINS + bin] = rank;
  }
  const cell = (t) => Math.max(0, Math.min(CELLS - 1, Math.floor((t / made.last) * CELLS))), first = cell(from), edge = (first / CELLS) * made.last;
  const columns = told.flight.length, level = new Int32Array(columns + 1);
  let open = made.level[first];
  const turn = (t, by) => {
    if (t < from) { open += by; return; }
    const c = column(t);
    level[c + 1] += by; told.flight[c] += by * (c + 1 - ((t - from) / (to - from)) * columns);
  };
  for (let k = lowest(made.shown.length, (k) => run.start[made.shown[k]], edge); k < stop; k++) turn(run.start[made.shown[k]], 1);
  for (let k = made.ends[first]; k < made.ends[cell(to) + 1]; k++) if (run.end[made.byEnd[k]] < to) turn(run.end[made.byEnd[k]], -1);
  for (let c = 0; c < columns; c++) told.flight[c] += open += level[c];
}

function byCells(made, told, from, to, columns, column) {
  const cell = (t) => Math.max(0, Math.min(CELLS - 1, Math.floor((t / made.last) * CELLS)));
  const reached = new Uint32Array(columns);
  for (let c = cell(from); c <= cell(to); c++) {
    const at = column(((c + 0.5) / CELLS) * made.last);
    for (let rank = 1; rank < 4; rank++) told.counts[at * 4 + rank] += made.counts[c * 4 + rank];
    for (let b = 0; b < BINS; b++) {
      const seen = made.worst[c * BINS + b];
      if (!seen) continue;
      told.bins[at * BINS + b] += made.bins[c * BINS + b];
      if (told.worst[at * BINS + b] < seen) told.worst[at * BINS + b] = seen;
    }
    told.flight[at] += made.flight[c]; reached[at]++;
  }
  for (let c = 0; c < columns; c++) told.flight[c] = reached[c] ? told.flight[c] / reached[c] : told.flight[c - 1] ?? 0;
}

// The part of the run that the timeline shows, in time whatever its axis is.
function spanOf(view) {
  const { run } = view;
  if (view.axis === run.axes.time) return [view.from, view.to];
  const time = (index) => run.start[Math.min(run.count - 1, lowest(run.count, (k) => run.index[k], index))] ?? 0;
  return [time(view.from), Math.max(time(view.from) + 1000, view.to >= view.axis.last ? run.axes.time.last : time(view.to))];
}

// The plots that this run has anything for; which are left out is said beside them.
function panelsOf(view) {
  const { replicas } = view, any = (name) => replicas.some((one) => one[name].values.some((value) => value === value && value !== null));
  const steps = (name, caption, short) => ({ caption, short, tall: 54, replicas: true, draw: (g, view, box) => drawSteps(g, view, box, name) });
  const panels = [
    { caption: 'operations per second, by when they began', tall: 54, draw: drawRate },
    { caption: 'latency: a spot for the worst outcome; lines for p50, p90, p99, p99.9 of ok', tall: 112, draw: drawLatency },
    { caption: 'operations under way, on average', tall: 40, draw: drawFlight },
  ];
  if (replicas.some((one) => one.clock.values.some(([offset, drift]) => offset || drift))) panels.push({ caption: 'how far wall clocks were set off, in ms', short: 'clocks off, ms', tall: 54, replicas: true, draw: drawClocks });
  if (any('term')) panels.push(steps('term', 'term, as each replica says', 'term'));
  if (any('commit')) panels.push(steps('commit', 'last entry known to be committed, as each replica says', 'committed'));
  if (any('applied')) panels.push(steps('applied', 'last entry applied, as each replica says', 'applied'));
  if (view.facts.staleness) {
    panels.push({ caption: 'stalest read, in ms, by the replica that answered', short: 'stalest, ms', tall: 54, replicas: true, draw: (g, view, box) => drawStale(g, view, box, 2) });
    panels.push({ caption: 'versions behind, by the replica that answered', short: 'behind', tall: 44, replicas: true, draw: (g, view, box) => drawStale(g, view, box, 3) });
  }
  return panels;
}

function drawPlots(canvas, view) {
  const panels = view.panels, height = panels.reduce((sum, { tall }) => sum + tall + CAPTION, 4);
  const { g, width } = prepared(canvas, height);
  const left = gutter(width), room = width - left, [from, to] = spanOf(view);
  const x = (t) => left + ((t - from) / (to - from)) * room;
  const columns = Math.max(1, Math.floor(room / COLUMN)), told = columnsOf(view.run, view.summary, from, to, columns);
  g.save();
  g.beginPath(); g.rect(left, 0, room, height); g.clip();
  for (const { started, ended, kind } of view.facts.faults) {
    if (started === null) continue;
    const a = x(started), b = x(ended ?? view.run.axes.time.last);
    g.fillStyle = view.colours[kind] ?? view.colours.other; g.globalAlpha = 0.09;
    if (b >= left && a <= width) g.fillRect(a, 0, Math.max(1, b - a), height);
  }
  g.restore();
  let y = 0;
  for (const panel of panels) {
    const box = { top: y + CAPTION, tall: panel.tall, left, width, x, from, to, told, columns, wide: room / columns };
    g.fillStyle = view.colours.soft; g.textAlign = 'left';
    // Where there is little room, the legend matters more than whole words.
    const caption = width < 600 && panel.short ? panel.short : panel.caption;
    g.fillText(caption, left, y + 12, room);
    if (panel.replicas) drawInks(g, view, left + g.measureText(caption).width + 12, y + 12, width);
    g.strokeStyle = view.colours.line; g.lineWidth = 1;
    g.strokeRect(left, box.top + 0.5, room - 0.5, panel.tall - 1);
    g.save(); g.beginPath(); g.rect(left, box.top, room, panel.tall); g.clip();
    const scale = panel.draw(g, view, box);
    g.restore();
    g.fillStyle = view.colours.soft; g.textAlign = 'right';
    const said = [];
    for (const [at, words] of scale) {
      const base = Math.min(box.top + panel.tall - 1, Math.max(box.top + 9, at + 4));
      if (said.some((other) => Math.abs(other - base) < 10)) continue;
      g.fillText(words, left - 5, base, left - 6); said.push(base);
    }
    y += panel.tall + CAPTION;
  }
}

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

const number = (value) => (value >= 1e6 ? +(value / 1e6).toPrecision(3) + ' M' : value >= 1e4 ? +(value / 1e3).toPrecision(3) + ' k' : String(+value.toPrecision(3)));

function drawRate(g, view, { top, tall, left, told, columns, wide, from, to }) {
  const seconds = (to - from) / 1e9 / columns;
  const totals = Float64Array.from({ length: columns }, (_, c) => told.counts[c * 4 + 1] + told.counts[c * 4 + 2] + told.counts[c * 4 + 3]);
  const sorted = totals.slice().sort(), usual = sorted[Math.floor(columns * 0.95)], peak = Math.max(1, sorted[columns - 1]);
  // A burst that would flatten all else goes through the ceiling, and is marked there.
  const cut = usual > 0 && peak > 4 * usual, most = cut ? 1.5 * usual : peak;
  const bars = sheet('rate', columns * wide, tall), bottoms = new Float64Array(columns).fill(tall);
  // The worst at the bottom, where even one is seen.
  for (const rank of [3, 2, 1]) for (let c = 0; c < columns; c++) {
    const count = told.counts[c * 4 + rank];
    if (!count) continue;
    const base = bottoms[c];
    mark(bars, c * wide, bottoms[c] -= Math.max(1.5, (count / most) * (tall - 2)), (c + 1) * wide, base, view.colours.pixels[rank]);
  }
  lay(g, bars, left, top);
  g.fillStyle = view.colours.ink; g.textAlign = 'right';
  if (cut) totals.forEach((total, c) => {
    if (total <= most) return;
    g.fillRect(left + c * wide - 1, top + 1, wide + 2, 2);
    if (total === peak) g.fillText('up to ' + number(peak / seconds), left + c * wide - 4, top + 12);
  });
  return [[top, number(most / seconds)], [top + tall, '0']];
}

function drawLatency(g, view, box) {
  const { top, tall, told, columns, wide, left } = box;
  let low = BINS, high = 0;
  for (let c = 0; c < columns; c++) for (let b = 0; b < BINS; b++) if (told.worst[c * BINS + b]) { if (b < low) low = b; if (b > high) high = b; }
  if (low > high) return [];
  low = Math.floor(low / PER_DECADE) * PER_DECADE; high = Math.max(low + PER_DECADE, Math.ceil((high + 1) / PER_DECADE) * PER_DECADE);
  const y = (bin) => top + tall - ((bin - low) / (high - low)) * tall, size = tall / (high - low);
  const grid = [];
  for (let b = low; b <= high; b += PER_DECADE) {
    g.fillStyle = view.colours.line; g.fillRect(left, y(b), box.width - left, 1);
    grid.push([y(b), spoken(10 ** (LOWEST + b / PER_DECADE))]);
  }
  if (told.few) drawSpots(g, view, box, (ns) => y((Math.log10(Math.max(1, ns)) - LOWEST) * PER_DECADE));
  else {
    const spots = sheet('latency', columns * wide, tall);
    for (let c = 0; c < columns; c++) for (let b = low; b < high; b++) {
      const rank = told.worst[c * BINS + b], at = y(b + 1) - top;
      if (rank) mark(spots, c * wide, at, (c + 1) * wide, at + Math.max(1.5, size), view.colours.pixels[rank]);
    }
    lay(g, spots, left, top);
  }
  drawQuantiles(g, view, box, y);
  return grid;
}

// Each operation as the shape of its outcome: a square, a triangle, a cross.
function drawSpots(g, view, { told, x }, y) {
  const { run, summary, colours } = view;
  for (let k = told.begin; k < told.stop; k++) {
    const i = summary.shown[k], rank = RANK[run.outcome[i]];
    if (run.end[i] === Infinity) continue;
    const px = x(run.start[i]), py = y(run.end[i] - run.start[i]);
    g.fillStyle = g.strokeStyle = colours.ranks[rank]; g.lineWidth = 1.4;
    if (rank === 1) g.fillRect(px - 1.5, py - 1.5, 3, 3);
    else if (rank === 2) { g.beginPath(); g.moveTo(px - 3, py + 3); g.lineTo(px, py - 3); g.lineTo(px + 3, py + 3); g.fill(); }
    else { g.beginPath(); g.moveTo(px - 3, py - 3); g.lineTo(px + 3, py + 3); g.moveTo(px + 3, py - 3); g.lineTo(px - 3, py + 3); g.stroke(); }
  }
}

// Where there are too few operations, there is no quantile; several columns are taken together so that there are more.
const GROUP = 4;
function drawQuantiles(g, view, { told, columns, wide, left }, y) {
  const sums = new Uint32Array(BINS), pens = QUANTILES.map(() => []);
  for (let c = 0; c < columns; c += GROUP) {
    sums.fill(0);
    let total = 0;
    for (let k = c * BINS; k < Math.min(columns, c + GROUP) * BINS; k++) if (told.bins[k]) { sums[k % BINS] += told.bins[k]; total += told.bins[k]; }
    QUANTILES.forEach(([share], q) => {
      if (total === 0) { pens[q].push(null); return; }
      if (total < Math.max(5, Math.min(200, 1 / (1 - share)))) return;
      let rank = Math.ceil(share * total), b = 0;
      while (rank > sums[b]) rank -= sums[b++];
      pens[q].push([left + (c + GROUP / 2) * wide, y(b + 0.5)]);
    });
  }
  g.strokeStyle = view.colours.ink; g.lineWidth = 1.3;
  QUANTILES.forEach(([, dash], q) => {
    g.setLineDash(dash); g.beginPath();
    pens[q].forEach((point, k) => { if (point) if (pens[q][k - 1]) g.lineTo(...point); else g.moveTo(...point); });
    g.stroke();
  });
  g.setLineDash([]);
}

const spoken = (ns) => (ns >= 1e9 ? +(ns / 1e9).toPrecision(3) + ' s' : ns >= 1e6 ? +(ns / 1e6).toPrecision(3) + ' ms' : +(ns / 1e3).toPrecision(3) + ' µs');

function drawFlight(g, view, { top, tall, told, columns, wide, left }) {
  const most = told.flight.reduce((most, one) => Math.max(most, one), 0.1);
  const bars = sheet('flight', columns * wide, tall);
  for (let c = 0; c < columns; c++) mark(bars, c * wide, tall - (told.flight[c] / most) * (tall - 2), (c + 1) * wide, tall, view.colours.flight);
  lay(g, bars, left, top);
  return [[top, number(most)], [top + tall, '0']];
}

// What replicas said, each a line that holds until it says something else and breaks off where it says nothing.
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

// One such line. What changes again within a pixel is passed over.
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

// The stalest read of each stretch; what is not stale lies on the line.
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
    for (const row of Object.hasOwn(replicas, one.name) ? replicas[one.name] : []) {
      if (!seen(row)) continue;
      if (Math.abs(row[0] - until) < 1) g.lineTo(x(row[0]), y(row[column])); else g.moveTo(x(row[0]), y(row[column]));
      g.lineTo(x(until = row[0] + stretch), y(row[column]));
    }
    g.stroke(); g.setLineDash([]);
  });
  return [[y(most), number(most)], [top + tall, '0']];
}
