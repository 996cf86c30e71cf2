// Draws what clients and replicas reported over the part of the run that the timeline shows, above its faults.

// The width of a plot's column in pixels, and the room above a plot for its caption.
const COLUMN = 3, CAPTION = 17;

// Returns the part of the run that the timeline shows, in time, whatever its axis is.
function spanOf(view) {
  const { run } = view;
  if (view.axis === run.axes.time) return [view.from, view.to];
  const time = (index) => run.start[Math.min(run.count - 1, lowest(run.count, (k) => run.index[k], index))] ?? 0;
  return [time(view.from), Math.max(time(view.from) + 1000, view.to >= view.axis.last ? run.axes.time.last : time(view.to))];
}

// Lists the plots that have data in this run; the others are named beside them. A plot with `of` has a line per replica
// and a legend, and is called `column` where numbers are saved.
function panelsOf(view) {
  const panels = [
    { caption: 'operations per second, by start', tall: 54, draw: drawRate },
    { caption: 'latency: marks show the worst outcome; lines show p50, p90, p99, p99.9 of ok', short: 'latency: the worst; p50 to p99.9 of ok', tall: 112, draw: drawLatency },
    { caption: 'concurrent operations, on average', tall: 40, draw: drawFlight },
  ];
  return [...panels, ...clockPanels(view), ...STEPS.flatMap((step) => stepPanels(view, step)), ...stalePanels(view)];
}

// Returns how many columns fit in a canvas.
const columnsIn = (width) => Math.max(1, Math.floor((width - gutter(width)) / COLUMN));

function drawPlots(canvas, view) {
  const height = view.panels.reduce((sum, { tall }) => sum + tall + CAPTION, 4);
  const { g, width } = prepared(canvas, height), left = gutter(width), room = width - left, [from, to] = spanOf(view);
  const x = (t) => left + ((t - from) / (to - from)) * room, columns = columnsIn(width);
  const box = { left, width, room, x, from, to, columns, wide: room / columns, told: columnsOf(view.run, view.summary, from, to, columns) };
  drawBands(g, view, box, height);
  let y = 0;
  for (const panel of view.panels) {
    drawPanel(g, view, panel, { ...box, top: y + CAPTION, tall: panel.tall });
    y += panel.tall + CAPTION;
  }
}

// Draws faults behind all plots.
function drawBands(g, view, { left, room, width, x }, height) {
  g.save();
  g.beginPath(); g.rect(left, 0, room, height); g.clip();
  g.globalAlpha = 0.09;
  for (const { started, ended, kind } of view.facts.faults) {
    if (started === null) continue;
    const from = x(started), to = x(ended ?? view.run.axes.time.last);
    g.fillStyle = view.colours[kind] ?? view.colours.other;
    if (to >= left && from <= width) g.fillRect(from, 0, Math.max(1, to - from), height);
  }
  g.restore();
}

function drawPanel(g, view, panel, box) {
  const { left, top, tall, width, room } = box;
  g.fillStyle = view.colours.soft; g.textAlign = 'left';
  // Where there is little room, the legend matters more than whole words.
  const caption = width < 600 && panel.short ? panel.short : panel.caption;
  g.fillText(caption, left, top - CAPTION + 12, room);
  if (panel.of) drawInks(g, view, left + g.measureText(caption).width + 12, top - CAPTION + 12, width);
  g.strokeStyle = view.colours.line; g.lineWidth = 1;
  g.strokeRect(left, top + 0.5, room - 0.5, tall - 1);
  g.save(); g.beginPath(); g.rect(left, top, room, tall); g.clip();
  const scale = panel.draw(g, view, box);
  g.restore();
  drawScale(g, view, scale, box);
}

// Draws the numbers beside a plot; one that would cover another is left out.
function drawScale(g, view, scale, { left, top, tall }) {
  g.fillStyle = view.colours.soft; g.textAlign = 'right';
  const said = [];
  for (const [at, words] of scale) {
    const base = Math.min(top + tall - 1, Math.max(top + 9, at + 4));
    if (said.some((other) => Math.abs(other - base) < 10)) continue;
    g.fillText(words, left - 5, base, left - 6); said.push(base);
  }
}

const number = (value) => (value >= 1e6 ? +(value / 1e6).toPrecision(3) + ' M' : value >= 1e4 ? +(value / 1e3).toPrecision(3) + ' k' : String(+value.toPrecision(3)));

function drawRate(g, view, { top, tall, left, told, columns, wide, from, to }) {
  const seconds = (to - from) / 1e9 / columns;
  const totals = Float64Array.from({ length: columns }, (_, c) => told.counts[c * 4 + 1] + told.counts[c * 4 + 2] + told.counts[c * 4 + 3]);
  const sorted = totals.slice().sort(), usual = sorted[Math.floor(columns * 0.95)], peak = Math.max(1, sorted[columns - 1]);
  // A burst that would flatten the rest is cut off at the top, and marked there.
  const cut = usual > 0 && peak > 4 * usual, most = cut ? 1.5 * usual : peak;
  const bars = sheet('rate', columns * wide, tall), bottoms = new Float64Array(columns).fill(tall);
  // The worst outcome is at the bottom, where even one is visible.
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

function drawFlight(g, view, { top, tall, told, columns, wide, left }) {
  const most = told.flight.reduce((most, one) => Math.max(most, one), 0.1);
  const bars = sheet('flight', columns * wide, tall);
  for (let c = 0; c < columns; c++) mark(bars, c * wide, tall - (told.flight[c] / most) * (tall - 2), (c + 1) * wide, tall, view.colours.flight);
  lay(g, bars, left, top);
  return [[top, number(most)], [top + tall, '0']];
}

