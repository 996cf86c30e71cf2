'use strict';
// Unpacks the operations of a run and applies the filters. The layout is that of report/columns.rs.

const OUTCOMES = ['info', 'ok', 'fail', 'info'];
// Ranks outcomes: the worse, the higher; in the order of the column.
const RANK = [3, 1, 2, 3];
const COLUMNS = 11;

// Unpacks deflated, base64-encoded data.
async function inflated(text) {
  const packed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(numbers, texts) {
  const [bytes, said] = await Promise.all([inflated(numbers), inflated(texts)]);
  let at = 0;
  const take = () => {
    let number = 0, scale = 1, byte;
    do { byte = bytes[at++]; number += (byte & 127) * scale; scale *= 128; } while (byte > 127);
    return number;
  };
  const columns = [];
  for (let column = 0; column < COLUMNS; column++) {
    const length = take(), end = at + length;
    let rows = 0;
    for (let i = at; i < end; i++) if (bytes[i] < 128) rows++;
    const numbers = new Float64Array(rows);
    for (let i = 0; i < rows; i++) numbers[i] = take();
    columns.push(numbers);
  }
  const lines = [0];
  for (let i = said.indexOf(10); i >= 0; i = said.indexOf(10, i + 1)) lines.push(i + 1);
  const decoder = new TextDecoder();
  const word = (n) => (n ? decoder.decode(said.subarray(lines[n - 1], lines[n] - 1)) : null);
  return moments(columns, { word, words: lines.length - 1 });
}

// Times are stored as differences; this adds them up to times and places.
function moments(columns, dictionary) {
  const [since, further, took, later, process, outcome, f, node, input, output, error] = columns;
  const signed = (n) => (n % 2 ? -(n + 1) / 2 : n / 2);
  const count = since.length, start = new Float64Array(count), end = new Float64Array(count);
  const index = new Float64Array(count), endIndex = new Float64Array(count);
  let last = 1, final = 1, time = 0, place = 0;
  for (let i = 0; i < count; i++) {
    start[i] = time += signed(since[i]);
    index[i] = place += signed(further[i]);
    end[i] = outcome[i] ? time + signed(took[i]) : Infinity;
    endIndex[i] = outcome[i] ? place + signed(later[i]) : Infinity;
    last = Math.max(last, time, outcome[i] ? end[i] : 0);
    final = Math.max(final, place, outcome[i] ? endIndex[i] : 0);
  }
  const axes = { time: { start, end: capped(end, last), last }, order: { start: index, end: capped(endIndex, final), last: final } };
  return { count, process, outcome, f, node, input, output, error, index, endIndex, start, end, axes, ...dictionary };
}

const capped = (ends, last) => ends.map((end) => Math.min(end, last));

// Returns what an operation is about: pairs of a key and a value, both as JSON.
function touched(run, n) {
  run.atoms ??= new Map();
  if (!run.atoms.has(n)) run.atoms.set(n, n ? atoms(JSON.parse(run.word(n)), keyed(run)) : []);
  return run.atoms.get(n);
}

function atoms(value, hasKeys) {
  const json = JSON.stringify;
  const steps = Array.isArray(value) && value.length > 0 && value.every((step) => Array.isArray(step) && step.length === 3 && typeof step[0] === 'string');
  const held = (key, value) => (Array.isArray(value) ? value : [value]).map((one) => [key, json(one)]);
  if (steps) return value.flatMap(([, key, value]) => held(json(key), value));
  return hasKeys ? held(json(value[0]), value[1]) : held(null, value);
}

// Tells whether every argument is a pair that begins with a plain key, as the checker decides it.
function keyed(run) {
  if (run.keyed === undefined) {
    run.keyed = run.count > 0;
    for (const n of new Set(run.input)) {
      const value = n ? JSON.parse(run.word(n)) : null;
      if (!Array.isArray(value) || value.length !== 2 || value[0] === null || typeof value[0] === 'object') { run.keyed = false; break; }
    }
  }
  return run.keyed;
}

const FILTERS = ['key', 'process', 'replica', 'function', 'outcome'];

// Returns the operations that pass the filters.
function passing(run, asked) {
  const found = [];
  const plain = (n) => (n ? run.word(n).replace(/^"|"$/g, '') : '');
  const texts = new Map();
  const said = (n) => { if (!texts.has(n)) texts.set(n, plain(n)); return texts.get(n); };
  const has = (n) => touched(run, n).some(([key]) => key !== null && (key === asked.key || key === JSON.stringify(asked.key)));
  for (let i = 0; i < run.count; i++) {
    if (asked.process && String(run.process[i]) !== asked.process) continue;
    if (asked.outcome && OUTCOMES[run.outcome[i]] !== asked.outcome) continue;
    if (asked.replica && said(run.node[i]) !== asked.replica) continue;
    if (asked.function && said(run.f[i]) !== asked.function) continue;
    if (asked.key && !has(run.input[i])) continue;
    found.push(i);
  }
  return found;
}

// One lane per client, each with a level-of-detail pyramid in which the worst outcome wins.
function lanesOf(run, axis, shown, clients) {
  const lanes = [];
  for (const i of shown) (lanes[run.process[i] % clients] ??= []).push(i);
  const most = lanes.reduce((most, lane) => Math.max(most, lane.length), 1);
  const cells = 2 ** Math.min(18, Math.max(10, Math.ceil(Math.log2(most * 2))));
  return lanes.map((ops, client) => ({ ops, client, ...detail(run, axis, ops, cells) })).filter(Boolean);
}

function detail(run, axis, ops, cells) {
  const finest = new Uint8Array(cells), levels = [finest];
  const cell = (t) => Math.min(cells - 1, Math.floor((t / axis.last) * cells));
  let openSince = Infinity;
  for (const i of ops) {
    const rank = RANK[run.outcome[i]], to = cell(axis.end[i]);
    // From here on an operation of unknown outcome may still take effect.
    if (rank === 3) openSince = Math.min(openSince, axis.end[i]);
    for (let b = cell(axis.start[i]); b <= to; b++) if (finest[b] < rank) finest[b] = rank;
  }
  while (levels.at(-1).length > 1) {
    const below = levels.at(-1), above = new Uint8Array(below.length / 2);
    for (let b = 0; b < above.length; b++) above[b] = Math.max(below[2 * b], below[2 * b + 1]);
    levels.push(above);
  }
  return { levels, openSince };
}

// Returns the first of ascending numbers that is not below a limit.
function lowest(count, number, limit) {
  let low = 0, high = count;
  while (low < high) { const mid = (low + high) >> 1; if (number(mid) < limit) low = mid + 1; else high = mid; }
  return low;
}
