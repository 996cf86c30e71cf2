// Moves the part of the run that is shown: it stays within the run, and is never too short to draw.

function viewOf(run, told, replicas) {
  const noted = replicas.some((one) => one.process.times.length || one.said.times.length), labels = new Map();
  const view = { run, facts: told, replicas: noted ? replicas : [], axis: run.axes.time, lanes: [], from: 0, to: 1, chosen: -1, marked: new Map(), folded: new Set(), linear: false, colours: palette(by('explorer')) };
  view.panels = panelsOf(view);
  view.label = (i) => { if (!labels.has(i)) labels.set(i, short(run, i)); return labels.get(i); };
  view.told = (t) => (view.axis === run.axes.time ? (t / 1e9).toFixed(view.to - view.from < 4e7 ? 6 : 3) + ' s' : 'event ' + Math.round(t));
  view.placed = (time) => (view.axis === run.axes.time ? time : run.index[lowest(run.count, (k) => run.start[k], time)] ?? view.axis.last);
  return view;
}

// Returns the time at a place of the axis, whichever axis is shown.
function timeOf({ run, axis }, place) {
  if (axis === run.axes.time || run.count === 0) return place;
  return run.start[Math.min(run.count - 1, lowest(run.count, (k) => run.index[k], place))];
}

function draw(page) {
  page.waiting = false;
  drawLanes(page.canvas, page.view); drawMap(by('map'), page.view); drawPlots(by('plots'), page.view);
}

// Draws at most once a frame.
function redraw(page) {
  if (page.waiting) return;
  page.waiting = true;
  requestAnimationFrame(() => draw(page));
}

function show(page, from, to) {
  const { view } = page, most = view.axis.last, least = view.axis === view.run.axes.time ? 1000 : 4;
  const span = Math.min(most, Math.max(least, to - from));
  view.from = Math.min(Math.max(0, from), most - span); view.to = view.from + span;
  redraw(page); link(page);
}

const whole = (page) => show(page, 0, page.view.axis.last);
const middle = ({ view }) => (view.from + view.to) / 2;

function zoom(page, factor, centre) {
  const { from, to } = page.view;
  show(page, centre - (centre - from) * factor, centre + (to - centre) * factor);
}

function shift(page, share) {
  const { from, to } = page.view, way = (to - from) * share;
  show(page, from + way, to + way);
}

// Folds the lanes of replicas, or of clients, into one, or unfolds them.
const FOLDED = ['replicas', 'clients'];
function fold(page, kind) {
  const { folded } = page.view;
  if (!folded.delete(kind)) folded.add(kind);
  layLanes(page);
  tellShown(page);
  redraw(page); link(page);
}

function layLanes({ run, view, told, shown }) {
  view.lanes = lanesOf(run, view.axis, shown, view.folded.has('clients') ? 1 : Math.max(1, told.clients));
  for (const kind of FOLDED) by('fold-' + kind).setAttribute('aria-expanded', !view.folded.has(kind));
}

// Moves the view so that an operation is visible.
function bring(page, i) {
  const { view } = page, { start, end } = view.axis, half = (view.to - view.from) / 2;
  if (end[i] < view.from || start[i] > view.to) show(page, start[i] - half, start[i] + half);
  else { redraw(page); link(page); }
}

// Switches between logarithmic and linear latencies.
function turnLatency(page) {
  page.view.linear = !page.view.linear;
  redraw(page); link(page);
}

// Switches between time and the order of events.
function turnAxis(page) {
  const { view, run } = page;
  view.axis = view.axis === run.axes.time ? run.axes.order : run.axes.time;
  view.from = 0; view.to = view.axis.last;
  refilter(page);
  if (view.marked.size) centre(page);
}
