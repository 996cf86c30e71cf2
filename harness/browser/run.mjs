// Generates the files of a run of any size, the same ones every time.
import fs from 'node:fs';
import path from 'node:path';

const SECOND = 1e9;

// With a text, every name and value of the run is that text; with a value, every value.
export function makeRun(directory, operations, clients, { text, value, interrupted = false } = {}) {
  const named = (word) => text ?? word;
  fs.mkdirSync(directory, { recursive: true });
  const write = (name, value) => fs.writeFileSync(path.join(directory, name), JSON.stringify(value));
  const minutes = 5, started = '2026-01-01T00:00:00Z';
  sights(directory, minutes * 60 * SECOND, named);
  const counts = journal(path.join(directory, 'history.jsonl'), operations, clients, minutes * 60 * SECOND, named, (n) => value ?? named(n));
  const config = { system: 'raft', nodes: 5, workload: 'register', nemesis: ['partition'], time_limit_ms: minutes * 60000, concurrency: clients, rate: 1000, seed: 1, net: 'auto', unsafe: [], bin: null };
  const replicas = [1, 2, 3, 4, 5].map((n) => ({ name: named('n' + n), address: '10.7.0.' + n + ':8080' }));
  const timings = { net_ms: 1, ready_ms: 1, first_op_ms: 1, history_ms: 1, judged_ms: 1 };
  write('run.json', { format: 1, harness: 'bench', argv: ['harness', 'test'], config, started, machine: { kernel: 'made up', cpus: 2, uid: 0 }, net: { backend: 'bridge', description: 'made up', why: null }, replicas, timings, repro: named('harness test --seed 1') });
  const fault = (id) => ({ id, kind: 'partition', variant: 'leader', target: named('n1 | n2 n3 n4 n5'), hosts: [], cut: [[named('n1'), 'n2']], majority: ['n2', 'n3'], started: id * 20 * SECOND, ended: (id * 20 + 8) * SECOND, state: 'witnessed', evidence: named('made up') });
  write('verdict.json', { format: 1, validity: 'valid', exit: 0, interrupted, unsafe: [], sentence: named('made up to be measured'), reasons: [], checks: [], faults: [1, 2, 3, 4, 5].map(fault), counts: { functions: { all: counts }, missed: 0 }, latency: { p50_us: 1, p95_us: 1, p99_us: 1, max_us: 1 }, deaths: [] });
}

// Generates what replicas report five times a second, and a log with one line a second.
function sights(directory, span, named) {
  const lines = [], logs = {};
  for (let beat = 0, time = 0; time < span; time = ++beat * SECOND / 5) for (let n = 1; n <= 5; n++) {
    const replica = named('n' + n), term = 1 + Math.floor(time / (20 * SECOND)), leads = term % 5 === n % 5;
    if (beat === 0) lines.push({ time, replica, process: 'up' });
    if (beat % 5 === 0) { logs[replica] = (logs[replica] ?? '') + named(`line of second ${beat / 5} in term ${term}`) + '\n'; lines.push({ time, replica, log: logs[replica].length }); }
    lines.push({ time, replica, says: { role: named(leads ? 'leader' : 'follower'), term, commit: beat * 40, applied: beat * 40 - n } });
  }
  fs.mkdirSync(path.join(directory, 'logs'), { recursive: true });
  // A name that is not a file name has no log.
  for (const [replica, text] of Object.entries(logs)) if (/^\w+$/.test(replica)) fs.writeFileSync(path.join(directory, 'logs', replica + '.log'), text);
  fs.writeFileSync(path.join(directory, 'replicas.jsonl'), lines.map((line) => JSON.stringify(line) + '\n').join(''));
}

// Each client calls, waits, and calls again; some answers fail, some are lost.
function journal(file, operations, clients, span, named, valued) {
  let state = 1;
  const random = (below) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state % below; };
  const step = span / Math.max(1, operations), counts = { ok: 0, fail: 0, info: 0 }, busy = new Map(), processes = Array.from({ length: clients }, (_, n) => n), events = [];
  for (let n = 0; n < operations; n++) {
    const client = n % clients, start = Math.max(Math.round(n * step), (busy.get(client) ?? 0) + 1);
    const end = start + 200000 + random(Math.round(step * clients * 0.8));
    const luck = random(100), type = luck < 2 ? 'info' : luck < 5 ? 'fail' : 'ok', f = random(2) ? 'read' : 'write', key = named('k' + random(50));
    const head = { process: processes[client], f, value: [key, f === 'read' ? null : valued(n)], node: named('n' + (1 + random(5))) };
    events.push([start, { type: 'invoke', ...head }], [end, { type, ...head, value: [key, f === 'read' && type === 'ok' ? valued(random(n + 1)) : head.value[1]], ...(type === 'ok' ? {} : { error: named('timeout') }) }]);
    counts[type]++; busy.set(client, end);
    if (type === 'info') processes[client] += clients;
  }
  events.sort((a, b) => a[0] - b[0]);
  const out = fs.openSync(file, 'w');
  for (let from = 0; from < events.length; from += 100000) {
    fs.writeSync(out, events.slice(from, from + 100000).map(([time, event], n) => JSON.stringify({ index: from + n, time, ...event }) + '\n').join(''));
  }
  fs.closeSync(out);
  return counts;
}
