// Makes up the files of a run of any size, the same ones every time.
import fs from 'node:fs';
import path from 'node:path';

const SECOND = 1e9;

export function makeRun(directory, operations, clients) {
  fs.mkdirSync(directory, { recursive: true });
  const write = (name, value) => fs.writeFileSync(path.join(directory, name), JSON.stringify(value));
  const minutes = 5, started = '2026-01-01T00:00:00Z';
  const counts = journal(path.join(directory, 'history.jsonl'), operations, clients, minutes * 60 * SECOND);
  const config = { system: 'raft', nodes: 5, workload: 'register', nemesis: ['partition'], time_limit_ms: minutes * 60000, concurrency: clients, rate: 1000, seed: 1, net: 'auto', unsafe: [], bin: null };
  const replicas = [1, 2, 3, 4, 5].map((n) => ({ name: 'n' + n, address: '10.7.0.' + n + ':8080' }));
  const timings = { net_ms: 1, ready_ms: 1, first_op_ms: 1, history_ms: 1, judged_ms: 1 };
  write('run.json', { format: 1, harness: 'bench', argv: ['harness', 'test'], config, started, machine: { kernel: 'made up', cpus: 2, uid: 0 }, net: { backend: 'bridge', description: 'made up', why: null }, replicas, timings, repro: 'harness test --seed 1' });
  const fault = (id) => ({ id, kind: 'partition', variant: 'leader', target: 'n1 | n2 n3 n4 n5', hosts: [], cut: [['n1', 'n2']], majority: ['n2', 'n3'], started: id * 20 * SECOND, ended: (id * 20 + 8) * SECOND, state: 'witnessed', evidence: 'made up' });
  write('verdict.json', { format: 1, validity: 'valid', exit: 0, interrupted: false, unsafe: [], sentence: 'made up to be measured', reasons: [], checks: [], faults: [1, 2, 3, 4, 5].map(fault), counts: { functions: { all: counts }, missed: 0 }, latency: { p50_us: 1, p95_us: 1, p99_us: 1, max_us: 1 }, deaths: [] });
}

// Each client calls, waits, and calls again; some answers fail, some are lost.
function journal(file, operations, clients, span) {
  let state = 1;
  const random = (below) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state % below; };
  const step = span / operations, counts = { ok: 0, fail: 0, info: 0 }, busy = new Map(), processes = Array.from({ length: clients }, (_, n) => n), events = [];
  for (let n = 0; n < operations; n++) {
    const client = n % clients, start = Math.max(Math.round(n * step), (busy.get(client) ?? 0) + 1);
    const end = start + 200000 + random(Math.round(step * clients * 0.8));
    const luck = random(100), type = luck < 2 ? 'info' : luck < 5 ? 'fail' : 'ok', f = random(2) ? 'read' : 'write', key = 'k' + random(50);
    const head = { process: processes[client], f, value: [key, f === 'read' ? null : n], node: 'n' + (1 + random(5)) };
    events.push([start, { type: 'invoke', ...head }], [end, { type, ...head, value: [key, f === 'read' && type === 'ok' ? random(n + 1) : head.value[1]], ...(type === 'ok' ? {} : { error: 'timeout' }) }]);
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
