// Draws latencies: the worst outcome of each cell, and the quantiles of successful operations.

function drawLatency(g, view, box) {
  const { told, columns, left } = box, seen = binsSeen(told, columns);
  if (!seen) return [];
  const { y, lines } = latencyAxis(view, box, ...seen);
  g.fillStyle = view.colours.line;
  for (const ns of lines) g.fillRect(left, y(ns), box.width - left, 1);
  if (told.few) drawSpots(g, view, box, y);
  else drawBins(g, view, box, y);
  drawQuantiles(g, view, box, y);
  return lines.map((ns) => [y(ns), spoken(ns)]);
}

// Returns the lowest and the highest bin with anything in it.
function binsSeen({ worst }, columns) {
  let low = BINS, high = -1;
  for (let k = 0; k < columns * BINS; k++) if (worst[k]) { const b = k % BINS; if (b < low) low = b; if (b > high) high = b; }
  return high < 0 ? null : [low, high];
}

// Places latencies on the axis, and chooses its lines: whole decades, or even steps from zero to the longest.
function latencyAxis({ linear }, { top, tall }, low, high) {
  const bottom = top + tall;
  if (linear) {
    const most = edge(high + 1), step = evenStep(most / 5);
    return { y: (ns) => bottom - (ns / most) * tall, lines: Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => n * step) };
  }
  const least = Math.floor(low / PER_DECADE), decades = Math.max(1, Math.ceil((high + 1) / PER_DECADE) - least);
  const y = (ns) => bottom - ((Math.log10(Math.max(1, ns)) - LOWEST - least) / decades) * tall;
  return { y, lines: Array.from({ length: decades + 1 }, (_, n) => 10 ** (LOWEST + least + n)) };
}

// Returns one, two or five times a power of ten that is at least the given number.
function evenStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((times) => times * power >= least);
}

// Draws the worst outcome of each bin of each column.
function drawBins(g, view, { top, tall, told, columns, wide, left }, y) {
  const spots = sheet('latency', columns * wide, tall), edges = Float64Array.from({ length: BINS + 1 }, (_, b) => y(edge(b)) - top);
  for (let c = 0; c < columns; c++) for (let b = 0; b < BINS; b++) {
    const rank = told.worst[c * BINS + b];
    if (rank) mark(spots, c * wide, edges[b + 1], (c + 1) * wide, Math.max(edges[b + 1] + 1.5, edges[b]), view.colours.pixels[rank]);
  }
  lay(g, spots, left, top);
}

// Draws each operation as the shape of its outcome: a square, a triangle, a cross.
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

// Lines continue over columns with too few operations, and break where there is none.
function drawQuantiles(g, view, { told, columns, wide, left }, y) {
  const groups = quantilesOf(told, columns);
  g.strokeStyle = view.colours.ink; g.lineWidth = 1.3;
  QUANTILES.forEach(([, dash], q) => {
    g.setLineDash(dash); g.beginPath();
    let down = false;
    groups.forEach((group, n) => {
      if (group[q] === undefined) return;
      const x = left + (n + 0.5) * GROUP * wide;
      if (group[q] !== null) if (down) g.lineTo(x, y(group[q])); else g.moveTo(x, y(group[q]));
      down = group[q] !== null;
    });
    g.stroke();
  });
  g.setLineDash([]);
}

const spoken = (ns) => (ns === 0 ? '0' : ns >= 1e9 ? +(ns / 1e9).toPrecision(3) + ' s' : ns >= 1e6 ? +(ns / 1e6).toPrecision(3) + ' ms' : +(ns / 1e3).toPrecision(3) + ' µs');
