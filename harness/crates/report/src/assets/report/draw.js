// Draws the lanes and the map of the whole run on canvases. Of `view` it sets only the range.

const ROW = 16, HEAD = 20, MAP = 34, HOST = 31;
// Up to this many operations of a lane are drawn one by one, with their words where there is room.
const SINGLY = 400;

function prepared(canvas, height) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth || 1;
  const g = canvas.getContext('2d'), wide = Math.round(width * scale), tall = Math.round(height * scale);
  // Setting a size clears a canvas, but allocates its memory again.
  if (canvas.width === wide && canvas.height === tall) { g.setTransform(1, 0, 0, 1, 0, 0); g.clearRect(0, 0, wide, tall); }
  else { canvas.width = wide; canvas.height = tall; canvas.style.height = height + 'px'; }
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.font = '11px system-ui, sans-serif';
  return { g, width };
}

function palette(room) {
  const style = getComputedStyle(room), colour = (name) => style.getPropertyValue('--' + name).trim();
  const names = ['paper', 'ink', 'soft', 'line', 'link', 'ok', 'fail', 'info', 'partition', 'kill', 'pause', 'other', 'invalid', 'leader'];
  const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  const ranks = ['', colours.ok, colours.fail, colours.info];
  return { ...colours, ranks, pixels: ['#000', ...ranks.slice(1)].map((rank) => pixel(rank)), flight: pixel(colours.link, 140), inks: INKS.map((one) => pixel(one)) };
}

// Where lanes begin; their names are to the left.
const gutter = (width) => (width < 500 ? 44 : 74);

function drawLanes(canvas, view) {
  const { run, lanes, facts, colours } = view;
  const { g, width } = prepared(canvas, laneTop(view) + lanes.length * ROW + 6);
  const left = gutter(width), room = width - left;
  const x = (t) => left + ((t - view.from) / (view.to - view.from)) * room, place = { x, left, width };
  Object.assign(view, { left, width });
  drawAxis(g, view, left, width);
  g.save();
  g.beginPath(); g.rect(left, 0, room, canvas.height); g.clip();
  facts.faults.forEach((fault) => drawFault(g, view, fault, place));
  if (!view.folded.has('replicas')) view.replicas.forEach((one, row) => drawReplica(g, view, one, hostTop(view, row) + 1, place));
  // Operations that are drawn one by one need their words; all others go on a sheet.
  place.sheet = sheet('lanes', room, lanes.length * ROW);
  lanes.forEach((lane, row) => drawLane(view, lane, row * ROW, place));
  lay(g, place.sheet, left, laneTop(view));
  lanes.forEach((lane, row) => drawSingly(g, view, lane, laneTop(view) + row * ROW, x));
  g.restore();
  drawHeads(g, view, left, width);
  if (run.count === 0) { g.textAlign = 'left'; g.fillText('No operation was recorded.', left, laneTop(view) + 12); }
}

// Draws the names of lanes; on the first of each kind a triangle shows whether they are folded.
function drawHeads(g, view, left, width) {
  const { facts, lanes, folded } = view, narrow = width < 500;
  g.fillStyle = view.colours.soft; g.textAlign = 'right';
  const name = (text, row, y) => g.fillText((row ? '' : '▾ ') + text, left - 6, y + 12, left - 8);
  if (folded.has('replicas') && facts.hosts.length) name(narrow ? '▸ n' : '▸ replicas', 1, HEAD);
  else facts.hosts.forEach((host, row) => name(plain(host.name), row, hostTop(view, row)));
  if (folded.has('clients') && lanes.length) name(narrow ? '▸ c' : '▸ clients', 1, laneTop(view));
  else lanes.forEach((lane, row) => name((narrow ? 'c' : 'client ') + lane.client, row, laneTop(view) + row * ROW));
}

// A replica's row has its own lane above its faults, if anything is known of it. Folded, all faults share a row.
const hostRow = ({ replicas, folded }) => (replicas.length && !folded.has('replicas') ? HOST : ROW);
const hostRows = ({ facts, folded }) => (folded.has('replicas') ? Math.min(1, facts.hosts.length) : facts.hosts.length);
const hostTop = (view, row) => HEAD + row * hostRow(view);
const laneTop = (view) => hostTop(view, hostRows(view)) + (hostRows(view) ? 4 : 0);

// Returns the rows of the hosts that a fault concerns.
function rowsOf({ facts: { hosts }, folded }, fault) {
  if (folded.has('replicas')) return [0];
  return [...hosts.keys()].filter((row) => hosts[row].faults.includes(fault.id));
}

function drawAxis(g, view, left, width) {
  g.fillStyle = view.colours.soft;
  const ticks = width < 500 ? 2 : 4;
  for (let tick = 0; tick <= ticks; tick++) {
    const t = view.from + ((view.to - view.from) * tick) / ticks;
    g.textAlign = tick === 0 ? 'left' : tick === ticks ? 'right' : 'center';
    g.fillText(view.told(t), left + ((width - left) * tick) / ticks, 12);
  }
}

// Draws a fault: a band behind the lanes, and a bar with its name in the row of each host that it concerns.
function drawFault(g, view, fault, { x, left, width }) {
  if (fault.started === null) return;
  const from = x(view.placed(fault.started)), to = x(view.placed(fault.ended ?? view.run.axes.time.last));
  if (to < left || from > width) return;
  const colour = view.colours[fault.kind] ?? view.colours.other;
  g.fillStyle = g.strokeStyle = colour;
  g.globalAlpha = 0.09;
  g.fillRect(from, HEAD, Math.max(1, to - from), view.lanes.length * ROW + laneTop(view));
  for (const row of rowsOf(view, fault)) drawFaultBar(g, view, fault, hostTop(view, row + 1) - ROW + 2, { from, to, left, width, colour });
  g.globalAlpha = 1;
}

function drawFaultBar(g, view, fault, y, { from, to, left, width, colour }) {
  g.fillStyle = colour;
  g.globalAlpha = fault.witnessed ? 0.45 : 0.15;
  g.fillRect(from, y, Math.max(1.5, to - from), ROW - 4);
  g.globalAlpha = 1;
  g.setLineDash(fault.witnessed ? [] : [3, 2]);
  g.lineWidth = 1; g.strokeRect(from, y, Math.max(1.5, to - from), ROW - 4);
  g.setLineDash([]);
  const start = Math.max(from, left), wide = Math.min(to, width) - start;
  if (wide <= 60) return;
  g.fillStyle = view.colours.ink; g.textAlign = 'left';
  g.fillText('#' + fault.id + ' ' + plain(fault.word), start + 3, y + 10, wide - 6);
}

function drawLane(view, lane, y, { x, left, width, sheet }) {
  if (lane.openSince < view.to) {
    for (let px = Math.max(left, x(lane.openSince)); px < width; px += 6) mark(sheet, px - left, y + 13, px - left + 3, y + 14, view.colours.pixels[3]);
  }
  if (ownOps(view, lane) === null) drawMany(sheet, view, lane.levels, y);
}

// Returns the operations of a lane in the window, if there is room for each; otherwise none.
function ownOps(view, lane) {
  const start = (k) => view.axis.start[lane.ops[k]];
  const begin = Math.max(0, lowest(lane.ops.length, start, view.from) - 1), stop = lowest(lane.ops.length, start, view.to);
  return stop - begin > SINGLY || view.folded.has('clients') ? null : lane.ops.slice(begin, stop);
}

// Returns the operations of the proof, and the selected one, of a folded lane.
function notable({ marked, chosen }, { ops }) {
  const within = (i) => ops[lowest(ops.length, (k) => ops[k], i)] === i;
  return [...new Set([...marked.keys(), chosen])].filter(within);
}

function drawSingly(g, view, lane, y, x) {
  const ops = view.folded.has('clients') ? notable(view, lane) : ownOps(view, lane) ?? [];
  for (const i of ops) drawOne(g, view, i, y, x);
}

function drawOne(g, view, i, y, x) {
  const { run, axis, colours } = view, rank = RANK[run.outcome[i]];
  const from = x(axis.start[i]), to = x(axis.end[i]);
  if (to < view.left || from > view.width) return;
  g.globalAlpha = view.marked.size && !view.marked.has(i) ? 0.45 : 1;
  g.fillStyle = colours.ranks[rank];
  const tall = rank === 2 ? 6 : 11;
  g.fillRect(from, y + 13 - tall, Math.max(1, to - from), tall);
  g.globalAlpha = 1;
  const mark = view.marked.get(i);
  if (mark !== undefined || i === view.chosen) {
    g.strokeStyle = mark === '✗' ? colours.invalid : colours.ink; g.lineWidth = i === view.chosen ? 2.5 : 1.2;
    g.strokeRect(from, y + 1, Math.max(2, to - from), 13);
  }
  if (to - from < 46 && mark === undefined) return;
  g.fillStyle = colours.ink; g.textAlign = 'left';
  const room = Math.floor((Math.min(to, view.width) - Math.max(from, view.left) - 6) / 5.6), told = to - from < 46 ? '' : view.label(i);
  g.fillText((mark === undefined ? '' : mark + ' ') + (told.length > room && told !== '' ? told.slice(0, Math.max(0, room - 1)) + '…' : told), Math.max(from, view.left) + 3, y + 11);
}

function drawMany(sheet, view, levels, y) {
  const { axis, colours } = view, finest = levels[0].length, room = sheet.wide;
  const perPixel = ((view.to - view.from) / axis.last) * finest / room;
  const cells = levels[Math.max(0, Math.min(levels.length - 1, Math.floor(Math.log2(perPixel))))];
  const cell = (px) => Math.floor(((view.from + ((view.to - view.from) * px) / room) / axis.last) * cells.length);
  let rank = 0, since = 0;
  for (let px = 0; px <= room; px++) {
    let worst = 0;
    const to = Math.min(cells.length - 1, cell(px + 1));
    if (px < room) for (let c = Math.max(0, cell(px)); c <= to; c++) if (cells[c] > worst) worst = cells[c];
    if (worst === rank) continue;
    if (rank) mark(sheet, since, y + 13 - (rank === 2 ? 6 : 11), px, y + 13, colours.pixels[rank]);
    rank = worst; since = px;
  }
}

// Draws the map: outcomes of the whole run, faults, and the part that is shown below.
function drawMap(canvas, view) {
  const { g, width } = prepared(canvas, MAP);
  const left = gutter(width), room = width - left, { axis, colours } = view;
  const x = (t) => left + (t / axis.last) * room;
  for (const fault of view.facts.faults) {
    if (fault.started === null) continue;
    g.fillStyle = colours[fault.kind] ?? colours.other; g.globalAlpha = 0.25;
    g.fillRect(x(view.placed(fault.started)), 6, Math.max(1, x(view.placed(fault.ended ?? view.run.axes.time.last)) - x(view.placed(fault.started))), MAP - 12);
  }
  g.globalAlpha = 1;
  const rows = view.lanes.map(({ levels }) => levels.find((level) => level.length <= room) ?? levels.at(-1));
  const strip = sheet('map', room, MAP), ranks = new Uint8Array(4);
  for (let px = 0; px < room; px++) {
    ranks.fill(0);
    for (const cells of rows) ranks[cells[Math.floor((px / room) * cells.length)]] = 1;
    if (ranks[1]) mark(strip, px, 20, px + 1, 26, colours.pixels[1]);
    if (ranks[2]) mark(strip, px, 12, px + 1, 20, colours.pixels[2]);
    if (ranks[3]) mark(strip, px, 8, px + 1, 16, colours.pixels[3]);
  }
  lay(g, strip, left, 0);
  g.fillStyle = colours.invalid;
  for (const i of view.marked.keys()) g.fillRect(x(axis.start[i]) - 1, 0, 2.5, MAP);
  g.strokeStyle = colours.ink; g.lineWidth = 1.5;
  g.strokeRect(x(view.from), 2, Math.max(3, x(view.to) - x(view.from)), MAP - 4);
  g.fillStyle = colours.soft; g.textAlign = 'right';
  g.fillText('whole run', left - 6, 21, left - 8);
}
