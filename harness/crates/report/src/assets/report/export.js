// Writes the run in the formats of other tools, from the data of the page.

// Returns every line of history.jsonl, with the nemesis's, in parts: together they may exceed the longest string.
function jsonLines(run, others) {
  const lines = [], parts = [];
  for (const line of others) lines[JSON.parse(line).index] = line;
  for (let i = 0; i < run.count; i++) for (const [index, line] of eventLines(run, i)) lines[index] = line;
  let part = '';
  // Skips indices that no event has.
  lines.forEach((line) => {
    part += line + '\n';
    if (part.length > 1 << 20) { parts.push(part); part = ''; }
  });
  return [...parts, part];
}

// Spreadsheets read text that begins like this as a formula.
const quoted = (text) => '"' + (/^[=+@\t\r-]/.test(text) ? "'" : '') + text.replace(/"/g, '""') + '"';

function csv(run, shown) {
  const rows = shown.map((i) => [run.index[i], run.start[i], run.outcome[i] ? run.end[i] : '', run.process[i],
    ...[run.f[i], run.node[i]].map((n) => quoted(n ? JSON.parse(run.word(n)) : '')), OUTCOMES[run.outcome[i]],
    ...[run.input[i], run.output[i], run.error[i]].map((n) => quoted(run.word(n) ?? ''))].join(','));
  return ['index,start_ns,end_ns,process,function,replica,outcome,input,output,error', ...rows].join('\n') + '\n';
}

// Trace events; an operation of unknown outcome has no end, because its process makes no other call.
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

// Returns the numbers of the plots, one row per column; what is not drawn is empty. Values that replicas report are
// those at the start of the column, quantiles those that are drawn through it.
function plotted(view, columns) {
  const [from, to] = spanOf(view), told = columnsOf(view.run, view.summary, from, to, columns), groups = quantilesOf(told, columns);
  const panels = view.panels.filter((panel) => panel.of), said = (value) => (value === value ? value ?? '' : '');
  const heads = panels.flatMap((panel) => view.replicas.map((one) => quoted(plain(one.name) + ': ' + panel.column)));
  const rows = Array.from({ length: columns }, (_, c) => {
    const begin = from + ((to - from) * c) / columns, end = from + ((to - from) * (c + 1)) / columns;
    const quantiles = groups[Math.floor(c / GROUP)].map((ns) => (ns ? (ns / 1e6).toPrecision(4) : ''));
    const replicas = panels.flatMap((panel) => view.replicas.map((one) => said(panel.of(one, begin))));
    return [begin / 1e9, end / 1e9, ...told.counts.subarray(c * 4 + 1, c * 4 + 4), told.flight[c].toPrecision(4), ...quantiles, ...replicas].join(',');
  });
  return [['from_s,to_s,ok,fail,info,under_way,p50_ms,p90_ms,p99_ms,p99.9_ms', ...heads].join(','), ...rows].join('\n') + '\n';
}
