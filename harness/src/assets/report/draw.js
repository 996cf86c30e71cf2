// Draws lanes and the map of the whole run on canvases. Of `view` it only sets from where to where.

const ROW = 16, HEAD = 20, MAP = 34, HOST = 31;
// Up to so many operations of a lane are drawn one by one, with their words where there is room.
const SINGLY = 400;

function prepared(canvas, height) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth || 1;
  canvas.width = width * scale; canvas.height = height * scale; canvas.style.height = height + 'px';
  const g = canvas.getContext('2d');
  g.scale(scale, scale);
  g.font = '11px system-ui, sans-serif';
  return { g, width };
}

function palette(room) {
  const style = getComputedStyle(room), colour = (name) => style.getPropertyValue('--' + name).trim();
  const names = ['paper', 'ink', 'soft', 'line', 'link', 'ok', 'fail', 'info', 'partition', 'kill', 'pause', 'other', 'invalid', 'leader'];
  const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  return { ...colours, ranks: ['', colours.ok, colours.fail, colours.info] };
}

// Where lanes begin: left of it stand their names.
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
  if (view.replicas.length) view.replicas.forEach((one, row) => drawReplica(g, view, one, hostTop(view, row) + 1, place));
  lanes.forEach((lane, row) => drawLane(g, view, lane, laneTop(view) + row * ROW, place));
  g.restore();
  g.fillStyle = colours.soft; g.textAlign = 'right';
  const name = (text, y) => g.fillText(text, left - 6, y + 12, left - 8);
  facts.hosts.forEach((host, row) => name(plain(host.name), hostTop(view, row)));
  lanes.forEach((lane, row) => name((width < 500 ? 'c' : 'client ') + lane.client, laneTop(view) + row * ROW));
  if (run.count === 0) { g.textAlign = 'left'; g.fillText('No operation was recorded.', left, laneTop(view) + 12); }
}

// A replica's row has its own lane above its faults, where anything was noted of it.
const hostRow = (view) => (view.replicas.length ? HOST : ROW);
const hostTop = (view, row) => HEAD + row * hostRow(view);
const laneTop = (view) => hostTop(view, view.facts.hosts.length) + (view.facts.hosts.length ? 4 : 0);

function drawAxis(g, view, left, width) {
  g.fillStyle = view.colours.soft;
  const ticks = width < 500 ? 2 : 4;
  for (let tick = 0; tick <= ticks; tick++) {
    const t = view.from + ((view.to - view.from) * tick) / ticks;
    g.textAlign = tick === 0 ? 'left' : tick === ticks ? 'right' : 'center';
    g.fillText(view.told(t), left + ((width - left) * tick) / ticks, 12);
  }
}

// A fault: a band behind the lanes, and a bar with its name in the row of each host that it means something to.
function drawFault(g, view, fault, { x, left, width }) {
  if (fault.started === null) return;
  const from = x(view.placed(fault.started)), to = x(view.placed(fault.ended ?? view.run.axes.time.last));
  if (to < left || from > width) return;
  const colour = view.colours[fault.kind] ?? view.colours.other;
  g.fillStyle = g.strokeStyle = colour;
  g.globalAlpha = 0.09;
  g.fillRect(from, HEAD, Math.max(1, to - from), view.lanes.length * ROW + laneTop(view));
  view.facts.hosts.forEach((host, row) => {
    if (!host.faults.includes(fault.id)) return;
    const y = hostTop(view, row + 1) - ROW + 2;
    g.globalAlpha = fault.witnessed ? 0.45 : 0.15;
    g.fillRect(from, y, Math.max(1.5, to - from), ROW - 4);
    g.globalAlpha = 1;
    g.setLineDash(fault.witnessed ? [] : [3, 2]);
    g.lineWidth = 1; g.strokeRect(from, y, Math.max(1.5, to - from), ROW - 4);
    g.setLineDash([]);
    const start = Math.max(from, left), wide = Math.min(to, width) - start;
    if (wide > 60) {
      g.fillStyle = view.colours.ink; g.textAlign = 'left';
      g.fillText('#' + fault.id + ' ' + plain(fault.word), start + 3, y + 10, wide - 6);
      g.fillStyle = colour;
    }
  });
  g.globalAlpha = 1;
}

function drawLane(g, view, lane, y, place) {
  const { axis, colours } = view, { x, width } = place;
  if (lane.openSince < view.to) {
    g.fillStyle = colours.info;
    for (let px = Math.max(place.left, x(lane.openSince)); px < width; px += 6) g.fillRect(px, y + 13, 3, 1);
  }
  const begin = Math.max(0, lowest(lane.ops.length, (k) => axis.start[lane.ops[k]], view.from) - 1);
  const stop = lowest(lane.ops.length, (k) => axis.start[lane.ops[k]], view.to);
  if (stop - begin <= SINGLY) for (let k = begin; k < stop; k++) drawOne(g, view, lane.ops[k], y, x);
  else drawMany(g, view, lane.levels, y, place);
}

const bar = (g, rank, left, right, y) => {
  const tall = rank === 2 ? 6 : 11;
  g.fillRect(left, y + 13 - tall, Math.max(1, right - left), tall);
};

function drawOne(g, view, i, y, x) {
  const { run, axis, colours } = view, rank = RANK[run.outcome[i]];
  const from = x(axis.start[i]), to = x(axis.end[i]);
  g.globalAlpha = view.marked.size && !view.marked.has(i) ? 0.45 : 1;
  g.fillStyle = colours.ranks[rank];
  bar(g, rank, from, to, y);
  g.globalAlpha = 1;
  const mark = view.marked.get(i);
  if (mark !== undefined || i === view.chosen) {
    g.strokeStyle = mark === '✗' ? colours.invalid : colours.ink; g.lineWidth = i === view.chosen ? 2.5 : 1.2;
    g.strokeRect(from, y + 1, Math.max(2, to - from), 13);
  }
  if (to - from < 46 && mark === undefined) return;
  g.fillStyle = colours.ink; g.textAlign = 'left';
  const room = Math.floor((Math.min(to, view.width) - Math.max(from, view.left) - 6) / 5.6), told = to - from < 46 ? '' : view.label(i);
  g.fillText((mark === undefined ? '' : mark + ' ') + (told.length > room ? told.slice(0, Math.max(0, room - 1)) + '…' : told), Math.max(from, view.left) + 3, y + 11);
}

function drawMany(g, view, levels, y, { left, width }) {
  const { axis, colours } = view, finest = levels[0].length, room = width - left;
  const perPixel = ((view.to - view.from) / axis.last) * finest / room;
  const cells = levels[Math.max(0, Math.min(levels.length - 1, Math.floor(Math.log2(perPixel))))];
  const cell = (px) => Math.floor(((view.from + ((view.to - view.from) * (px - left)) / room) / axis.last) * cells.length);
  let rank = 0, since = left;
  for (let px = left; px <= width; px++) {
    let worst = 0;
    const to = Math.min(cells.length - 1, cell(px + 1));
    if (px < width) for (let c = Math.max(0, cell(px)); c <= to; c++) if (cells[c] > worst) worst = cells[c];
    if (worst === rank) continue;
    if (rank) { g.fillStyle = colours.ranks[rank]; bar(g, rank, since, px, y); }
    rank = worst; since = px;
  }
}

// The whole run: how the lanes fared, where something went wrong, and the part that is shown below.
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
  for (let px = 0; px < room; px++) {
    const ranks = [0, 0, 0, 0];
    for (const cells of rows) ranks[cells[Math.floor((px / room) * cells.length)]]++;
    if (ranks[1]) { g.fillStyle = colours.ok; g.fillRect(left + px, 20, 1, 6); }
    if (ranks[2]) { g.fillStyle = colours.fail; g.fillRect(left + px, 12, 1, 8); }
    if (ranks[3]) { g.fillStyle = colours.info; g.fillRect(left + px, 8, 1, 8); }
  }
  g.fillStyle = colours.invalid;
  for (const i of view.marked.keys()) g.fillRect(x(axis.start[i]) - 1, 0, 2.5, MAP);
  g.strokeStyle = colours.ink; g.lineWidth = 1.5;
  g.strokeRect(x(view.from), 2, Math.max(3, x(view.to) - x(view.from)), MAP - 4);
  g.fillStyle = colours.soft; g.textAlign = 'right';
  g.fillText('whole run', left - 6, 21, left - 8);
}
