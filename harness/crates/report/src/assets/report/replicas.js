// Unpacks the observations of each replica, draws its lane, and finds the lines of its log by time.
// All of it is for people: roles, terms and indices are what the system reports, and no check reads them.

const LEADER = 'leader';

async function observed(text, hosts) {
  const seen = JSON.parse(new TextDecoder().decode(await inflated(text)));
  return seen.map(({ process, says, clock, log }, n) => {
    const said = track(says);
    const numbers = (place) => Float64Array.from(said.values, (one) => one?.[place] ?? NaN);
    return {
      name: hosts[n].name, process: track(process), said, clock: track(clock), spells: spells(said), log: log && lines(log),
      term: { times: said.times, values: numbers(1) }, commit: { times: said.times, values: numbers(2) }, applied: { times: said.times, values: numbers(3) },
    };
  });
}

// Unpacks values that hold from some times on, each stored as a difference.
function track([since, values]) {
  let time = 0;
  return { times: Float64Array.from(since, (step) => (time += step)), values };
}

// Returns the index of the value that held at a time; -1 before the first.
const held = ({ times }, t) => lowest(times.length, (k) => times[k], t + 1) - 1;

// Returns stretches in which role and term stay the same.
function spells({ times, values }) {
  const found = [];
  for (let k = 0; k < times.length; k++) {
    const [role, term] = values[k] ?? [null, null], last = found.at(-1);
    if (!last || last.role !== role || last.term !== term) found.push({ from: times[k], role, term });
  }
  return found;
}

// Returns the lines of a log, each with the two observations between which it was written.
function lines({ from, bytes, text, ends, marks: [times, lengths] }) {
  const words = text.split('\n').slice(0, ends.length), after = new Float64Array(words.length), by = new Float64Array(words.length);
  let at = from, mark = 0;
  for (let n = 0; n < words.length; n++) {
    at += ends[n];
    while (mark < lengths.length && lengths[mark] < at) mark++;
    after[n] = mark > 0 ? times[mark - 1] : 0;
    by[n] = mark < times.length ? times[mark] : Infinity;
  }
  return { words, after, by, cut: [from, bytes - at], timed: times.length > 0 };
}

// Returns the lines that may have been written between two times.
function logged(log, from, to) {
  const begin = lowest(log.words.length, (n) => log.by[n], from);
  return [begin, lowest(log.words.length, (n) => log.after[n], to)];
}

// Says what the log lacks in this page, or nothing.
function lacking({ name: raw, log }) {
  const name = plain(raw);
  if (!log) return 'This page has no log of ' + name + '.';
  const [before, after] = log.cut, parts = [];
  if (!log.timed) parts.push('the times of its lines were not recorded');
  if (before) parts.push('the first ' + before + ' bytes are not in this page');
  if (after) parts.push('the last ' + after + ' bytes are not in this page');
  return parts.length ? 'Log of ' + name + ': ' + parts.join('; ') + '. The whole log is logs/' + name + '.log.' : '';
}

// Draws a replica's lane: a bar while it leads, a line while it follows, hatched while it is down or stopped.
function drawReplica(g, view, one, y, place) {
  const { x, left, width } = place, { colours } = view;
  const stretch = (list, k, time) => [x(view.placed(time(k))), k + 1 < list ? x(view.placed(time(k + 1))) : x(view.axis.last)];
  const visible = ([from, to]) => to >= left && from <= width;
  one.spells.forEach(({ role, term }, k) => {
    const span = stretch(one.spells.length, k, (n) => one.spells[n].from);
    if (role === null || !visible(span)) return;
    drawSpell(g, view, role, term, span, y, place);
  });
  one.process.values.forEach((life, k) => {
    const span = stretch(one.process.values.length, k, (n) => one.process.times[n]);
    if (life === 'up' || !visible(span)) return;
    const from = Math.max(left, span[0]), wide = Math.max(1.5, Math.min(width, span[1]) - from);
    g.fillStyle = colours.paper; g.fillRect(from, y, wide, 12);
    g.fillStyle = g.strokeStyle = life === 'down' ? colours.kill : colours.pause;
    hatch(g, life, from, y, wide);
    if (wide > 46) label(g, colours, life, from, y, wide);
  });
}

function drawSpell(g, view, role, term, [from, to], y, { left, width }) {
  const { colours } = view, start = Math.max(left, from), wide = Math.max(1, Math.min(width, to) - start);
  if (role === LEADER) { g.fillStyle = colours.leader; g.fillRect(start, y, wide, 12); }
  else if (role === 'follower') { g.fillStyle = colours.soft; g.fillRect(start, y + 5, wide, 1.5); }
  else { g.fillStyle = colours.fail; g.fillRect(start, y + 3, wide, 6); }
  if (from >= left) { g.fillStyle = colours.ink; g.fillRect(from, y, 1, 12); }
  const words = plain(String(role)) + (term === null ? '' : ', term ' + term);
  if (wide > 90 || (role === LEADER && wide > 44)) label(g, colours, wide > 90 ? words : 't' + term, start, y, wide);
}

function label(g, colours, words, from, y, wide) {
  g.textAlign = 'left';
  const room = Math.min(wide - 4, g.measureText(words).width + 4);
  g.fillStyle = colours.paper; g.globalAlpha = 0.75; g.fillRect(from + 3, y, room, 12); g.globalAlpha = 1;
  g.fillStyle = colours.ink; g.fillText(words, from + 5, y + 10, wide - 8);
}

// Down is crossed out, stopped is dotted: colour never carries meaning alone.
function hatch(g, life, from, y, wide) {
  g.lineWidth = 1; g.strokeRect(from, y + 0.5, wide, 11);
  for (let px = from; px < from + wide; px += 5) {
    if (life === 'stopped') { g.fillRect(px, y + 3, 1.5, 1.5); g.fillRect(px + 2.5, y + 7, 1.5, 1.5); continue; }
    g.beginPath(); g.moveTo(px, y + 11); g.lineTo(Math.min(px + 5, from + wide), y + 1); g.stroke();
  }
}

// Describes in words what is known of a replica at a time.
function standing(one, t) {
  const life = one.process.values[held(one.process, t)], said = one.said.values[held(one.said, t)];
  const parts = [];
  if (life && life !== 'up') parts.push(life);
  if (said) {
    const [role, term, commit, applied] = said;
    for (const [name, value] of [['', role], ['term ', term], ['commit ', commit], ['applied ', applied]]) if (value !== null) parts.push(name + plain(String(value)));
  } else parts.push(one.said.times.length ? 'no report' : 'not recorded');
  const off = clockOffset(one, t);
  if (off) parts.push('clock ' + (off / 1000).toFixed(3) + ' s off');
  return plain(one.name) + ' ' + parts.join(', ');
}

// Returns how far a clock was set off, in milliseconds.
function clockOffset(one, t) {
  const k = held(one.clock, t);
  if (k < 0) return 0;
  const [offset, drift, strobe] = one.clock.values[k], since = (t - one.clock.times[k]) / 1e6;
  return strobe && Math.floor(since / strobe) % 2 ? 0 : offset + (since * drift) / 100;
}
