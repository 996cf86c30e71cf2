// Counts the operations of a part of the run in columns: outcomes, latencies, and how many were under way.

// Latency bins grow by a sixteenth of a decade, from a microsecond to a hundred seconds.
const PER_DECADE = 16, BINS = 128, LOWEST = 3;
const CELLS = 4096;
// Limits below which operations are counted one by one, and drawn one by one.
const COUNTED = 80000, DOTTED = 2500;

// Returns where a bin begins, in nanoseconds.
const edge = (bin) => 10 ** (LOWEST + bin / PER_DECADE);
const binOf = (ns) => Math.max(0, Math.min(BINS - 1, Math.floor((Math.log10(Math.max(1, ns)) - LOWEST) * PER_DECADE)));

// The filtered operations, counted in cells of time: outcomes, latencies, and how many were under way.
function summary(run, shown) {
  const last = run.axes.time.last, cell = (t) => Math.min(CELLS - 1, Math.floor((t / last) * CELLS));
  const made = { shown, last, counts: new Uint32Array(CELLS * 4), bins: new Uint32Array(CELLS * BINS), worst: new Uint8Array(CELLS * BINS), flight: new Float64Array(CELLS), level: new Int32Array(CELLS + 1), bin: new Uint8Array(shown.length) };
  // How far a time is into a cell, in cells; the rest of the cell counts.
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
  // Operations that end in one cell are adjacent, so a part of the run reads only its own.
  made.ends = ends; made.byEnd = new Uint32Array(ends[CELLS]);
  const next = ends.slice();
  for (const i of shown) if (run.end[i] !== Infinity) made.byEnd[next[cell(run.end[i])]++] = i;
  return made;
}

// Returns the columns to draw for the operations between two times.
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

const QUANTILES = [[0.5, []], [0.9, [6, 2]], [0.99, [3, 2]], [0.999, [1, 2]]];

// Returns the quantiles of successful operations. Several columns are joined where one has too few;
// with too few even then, there is none.
const GROUP = 4;
function quantilesOf({ bins }, columns) {
  const groups = [], sums = new Uint32Array(BINS);
  for (let c = 0; c < columns; c += GROUP) {
    sums.fill(0);
    let total = 0;
    for (let k = c * BINS; k < Math.min(columns, c + GROUP) * BINS; k++) if (bins[k]) { sums[k % BINS] += bins[k]; total += bins[k]; }
    groups.push(QUANTILES.map(([share]) => quantile(sums, total, share)));
  }
  return groups;
}

// Null means no operation, undefined means too few.
function quantile(sums, total, share) {
  if (total === 0) return null;
  if (total < Math.max(5, Math.min(200, 1 / (1 - share)))) return undefined;
  let rank = Math.ceil(share * total), b = 0;
  while (rank > sums[b]) rank -= sums[b++];
  return edge(b + 0.5);
}
