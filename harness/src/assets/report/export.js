// Writes the run in the forms of other tools, from what the page holds.

// Every line of history.jsonl, the nemesis's too; in parts, for together they may be longer than a text can be.
function jsonLines(run, others) {
  const lines = [], parts = [];
  for (const line of others) lines[JSON.parse(line).index] = line;
  for (let i = 0; i < run.count; i++) for (const [index, line] of eventLines(run, i)) lines[index] = line;
  let part = '';
  // Passes over numbers that no event has.
  lines.forEach((line) => {
    part += line + '\n';
    if (part.length > 1 << 20) { parts.push(part); part = ''; }
  });
  return [...parts, part];
}

function csv(run, shown) {
  // A sheet takes what begins so for a formula.
  const quoted = (text) => '"' + (/^[=+@\t\r-]/.test(text) ? "'" : '') + text.replace(/"/g, '""') + '"';
  const rows = shown.map((i) => [run.index[i], run.start[i], run.outcome[i] ? run.end[i] : '', run.process[i],
    ...[run.f[i], run.node[i]].map((n) => quoted(n ? JSON.parse(run.word(n)) : '')), OUTCOMES[run.outcome[i]],
    ...[run.input[i], run.output[i], run.error[i]].map((n) => quoted(run.word(n) ?? ''))].join(','));
  return ['index,start_ns,end_ns,process,function,replica,outcome,input,output,error', ...rows].join('\n') + '\n';
}

// Trace events; what may still happen has no end, for its process never goes on.
function trace(run, faults) {
  const slice = (pid, tid, from, to, rest) => ({ ph: to === null ? 'B' : 'X', pid, tid, ts: from / 1e3, ...(to === null ? {} : { dur: (to - from) / 1e3 }), ...rest });
  const events = [[1, 'clients'], [2, 'faults']].map(([pid, name]) => ({ ph: 'M', pid, name: 'process_name', args: { name } }));
  for (let i = 0; i < run.count; i++) {
    const cat = OUTCOMES[run.outcome[i]], args = { index: run.index[i], events: eventLines(run, i).map(([, line]) => JSON.parse(line)) };
    events.push(slice(1, run.process[i], run.start[i], cat === 'info' ? null : run.end[i], { name: short(run, i), cat, args }));
  }
  for (const fault of faults) if (fault.started !== null) events.push(slice(2, fault.id, fault.started, fault.ended, { name: fault.story, cat: fault.kind }));
  return JSON.stringify({ displayTimeUnit: 'ms', traceEvents: events });
}
