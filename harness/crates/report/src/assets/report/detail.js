// Describes an operation as it was recorded, and where else its values were written and read.

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const plain = (text) => text.replace(UNSEEN, (c) => '\\u{' + c.charCodeAt(0).toString(16) + '}');
const seconds = (ns) => (ns / 1e9).toFixed(6) + ' s';

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function button(text, act) {
  const made = element('button', text, { type: 'button' });
  made.addEventListener('click', act);
  return made;
}

// Returns the lines of history.jsonl that make up the operation.
function eventLines(run, i) {
  const tail = (end) => (run.node[i] ? ',"node":' + run.word(run.node[i]) : '') + (end && run.error[i] ? ',"error":' + run.word(run.error[i]) : '') + '}';
  const head = (index, time, type, value) =>
    '{"index":' + index + ',"time":' + time + ',"type":"' + type + '","process":' + run.process[i] + ',"f":' + run.word(run.f[i]) + ',"value":' + value;
  const lines = [[run.index[i], head(run.index[i], run.start[i], 'invoke', run.word(run.input[i])) + tail(false)]];
  if (run.outcome[i]) lines.push([run.endIndex[i], head(run.endIndex[i], run.end[i], OUTCOMES[run.outcome[i]], run.word(run.output[i])) + tail(true)]);
  return lines;
}

const took = (run, i) => (run.outcome[i] ? ((run.end[i] - run.start[i]) / 1e6).toFixed(3) + ' ms' : 'never completed');

function facts(run, i, { clock, clients }) {
  const told = (n) => plain(run.word(n) ?? 'none');
  const wall = clock === null ? [] : [['wall clock', new Date(clock + run.start[i] / 1e6).toISOString()]];
  return [['operation', '#' + run.index[i] + (run.outcome[i] ? ' to #' + run.endIndex[i] : ', never completed')], ['outcome', OUTCOMES[run.outcome[i]]],
    ['client', run.process[i] % Math.max(1, clients) + ' (process ' + run.process[i] + ')'], ['function', told(run.f[i])], ['replica', told(run.node[i])], ['request', told(run.input[i])],
    ['response', run.outcome[i] ? told(run.output[i]) : 'none'], ['error', told(run.error[i])], ['start', seconds(run.start[i])], ['latency', took(run, i)], ...wall];
}

function describe(drawer, rows) {
  drawer.replaceChildren(...rows.map(([term, text]) => {
    const box = document.createElement('div');
    box.append(element('dt', term), element('dd', text));
    return box;
  }));
}

// Shortens long text in lines; the drawer shows all of it.
const LINE = 160;

// Returns one line with the call and its answer.
function short(run, i) {
  const word = (n) => { const text = run.word(n) ?? ''; return plain(text.length > LINE ? text.slice(0, LINE) + '…' : text); };
  const output = run.outcome[i] && run.output[i] !== run.input[i] ? ' → ' + word(run.output[i]) : '';
  return word(run.f[i]).replace(/^"|"$/g, '') + ' ' + word(run.input[i]) + output;
}

// Returns the log lines of a replica between two times; a long stretch is cut in the middle.
const MOST_LINES = 400;
function excerpt(one, from, to, around) {
  const box = element('div', ''), missing = lacking(one);
  if (one.log) {
    const [begin, stop] = logged(one.log, from - around, to + around), half = MOST_LINES / 2;
    const written = (n) => (one.log.by[n] === Infinity ? 'later' : 'by ' + seconds(one.log.by[n])) + '  ' + plain(one.log.words[n]);
    const some = (a, b) => Array.from({ length: b - a }, (_, n) => written(a + n));
    const all = stop - begin <= MOST_LINES ? some(begin, stop) : [...some(begin, begin + half), '… ' + (stop - begin - MOST_LINES) + ' lines are left out; choose a shorter time …', ...some(stop - half, stop)];
    box.append(element('p', stop > begin ? 'log of ' + plain(one.name) + ', ' + (stop - begin) + ' lines, each with the time by which it was written:' : 'The log of ' + plain(one.name) + ' has no lines in that time.'));
    if (stop > begin) box.append(element('pre', all.join('\n'), { tabindex: '0', class: 'log' }));
  }
  if (missing) box.append(element('p', missing, { class: 'note' }));
  return box;
}

// Returns all operations that wrote or read one of the values of this one, by value.
function provenance(run, i) {
  const own = new Map();
  for (const n of new Set([run.input[i], run.outcome[i] === 1 ? run.output[i] : 0])) {
    for (const [key, value] of touched(run, n)) if (value !== 'null') own.set((key ?? '') + ' ' + value, { key, value, operations: [] });
  }
  if (own.size === 0) return [];
  const found = new Map();
  const names = (n) => {
    if (!found.has(n)) found.set(n, [...new Set(touched(run, n).map(([key, value]) => (key ?? '') + ' ' + value))].filter((name) => own.has(name)));
    return found.get(n);
  };
  for (let j = 0; j < run.count; j++) {
    const both = new Set(names(run.input[j]));
    if (run.outcome[j] === 1) for (const name of names(run.output[j])) both.add(name);
    for (const name of both) own.get(name).operations.push(j);
  }
  return [...own.values()];
}

// Describes one operation of such a trail.
const deed = (run, i) => (run.input[i] === run.output[i] || run.outcome[i] !== 1 ? 'in the request' : 'in the response');
