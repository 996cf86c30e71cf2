// Puts the page together: keys, mouse, filters, links and the proof all move the same view.
// Text of the run is only ever shown through textContent and fillText.

// The moment at a place of the axis, whichever it is.
function timeOf({ run, axis }, place) {
  if (axis === run.axes.time || run.count === 0) return place;
  return run.start[Math.min(run.count - 1, lowest(run.count, (k) => run.index[k], place))];
}

// What of replicas and plots is not there, and why.
function remarks({ replicas, facts }) {
  const said = [];
  if (facts.hosts.length && !replicas.length) said.push('Nothing was noted of the replicas in this run: it is from before that was done.');
  const never = replicas.filter((one) => one.said.values.every((value) => value === null)).map((one) => plain(one.name));
  if (never.length) said.push(never.join(', ') + ' never said anything of ' + (never.length === 1 ? 'itself.' : 'themselves.'));
  else if (replicas.length && !replicas.some((one) => one.commit.values.some((value) => value === value))) said.push('This system says nothing of what is committed.');
  return said.join(' ');
}

async function explore() {
  const by = (id) => document.getElementById(id);
  const room = by('explorer'), canvas = by('lanes'), map = by('map'), plots = by('plots'), status = by('status'), form = by('filter');
  const told = JSON.parse(by('outline').textContent);
  const [run, replicas] = await Promise.all([unpack(by('columns').textContent, by('words').textContent), observed(by('observed').textContent, told.hosts)]);
  const clients = Math.max(1, told.clients);
  const noted = replicas.some((one) => one.process.times.length || one.said.times.length);
  const view = { run, facts: told, replicas: noted ? replicas : [], axis: run.axes.time, lanes: [], from: 0, to: 1, chosen: -1, marked: new Map(), colours: palette(room) };
  view.panels = panelsOf(view);
  by('noted').textContent = remarks(view);
  const labels = new Map();
  view.label = (i) => { if (!labels.has(i)) labels.set(i, short(run, i)); return labels.get(i); };
  view.told = (t) => (view.axis === run.axes.time ? (t / 1e9).toFixed(view.to - view.from < 4e7 ? 6 : 3) + ' s' : 'event ' + Math.round(t));
  view.placed = (time) => (view.axis === run.axes.time ? time : run.index[lowest(run.count, (k) => run.start[k], time)] ?? view.axis.last);
  const found = (index) => { const i = lowest(run.count, (k) => run.index[k], index); return run.index[i] === index ? i : -1; };

  // Drawing, at most once a frame.
  let waiting = false;
  const draw = () => { waiting = false; drawLanes(canvas, view); drawMap(map, view); drawPlots(plots, view); };
  const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };
  // Browsers refuse addresses that change at every frame.
  let later = 0;
  const link = () => { clearTimeout(later); later = setTimeout(address, 200); };
  function address() {
    const asked = filters(), words = new URLSearchParams();
    if (view.chosen >= 0) words.set('op', run.index[view.chosen]);
    words.set('t', Math.round(view.from) + '-' + Math.round(view.to));
    for (const name of FILTERS) if (asked[name]) words.set(name, asked[name]);
    if (view.axis === run.axes.order) words.set('axis', 'order');
    if (step > 0) words.set('step', step);
    try { history.replaceState(null, '', '#' + words); } catch { /* a sandbox may forbid it */ }
  }
  function show(a, b) {
    const most = view.axis.last, span = Math.min(most, Math.max(view.axis === run.axes.time ? 1000 : 4, b - a));
    view.from = Math.min(Math.max(0, a), most - span); view.to = view.from + span;
    redraw(); link();
  }
  const zoom = (factor, centre) => show(centre - (centre - view.from) * factor, centre + (view.to - centre) * factor);
  const move = (share) => show(view.from + (view.to - view.from) * share, view.to + (view.to - view.from) * share);
  const whole = () => show(0, view.axis.last);

  // Filters.
  const filters = () => Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()]));
  let shown = [], said = '';
  const list = grid(by('grid'), by('rows'), run, (i) => open(i));
  function lay() {
    shown = passing(run, filters());
    view.lanes = lanesOf(run, view.axis, shown, clients);
    view.summary = summary(run, shown);
    list.list(shown); list.choose(view.chosen);
    const all = shown.length === run.count ? 'all of them here' : shown.length + ' of them pass the filter, the others are hidden';
    status.textContent = run.count + ' operations on ' + view.lanes.length + ' lanes, ' + all + '.' + said;
    redraw(); link();
  }
  form.addEventListener('input', (event) => { if (event.target.name !== 'goto') { clearTimeout(form.later); form.later = setTimeout(lay, 150); } });
  form.addEventListener('reset', () => setTimeout(lay));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const asked = form.elements.goto.value.trim(), i = asked === '' ? -1 : found(Number(asked));
    if (i >= 0) { open(i); canvas.focus(); } else if (asked !== '') status.textContent = 'No operation of this run began at index ' + asked + '.';
  });

  // What one operation was, and where its values were seen.
  function open(i) {
    if (i === undefined || i < 0) return;
    view.chosen = i;
    describe(by('drawer'), facts(run, i, told.clock));
    by('raw').textContent = plain(eventLines(run, i).map(([, line]) => line).join('\n').replace(/\n/g, '\u2028')).replace(/\u2028/g, '\n');
    by('chosen').hidden = false;
    by('trail').replaceChildren();
    tellLog();
    list.choose(i);
    const { start, end } = view.axis;
    if (end[i] < view.from || start[i] > view.to) show(start[i] - (view.to - view.from) / 2, start[i] + (view.to - view.from) / 2); else { redraw(); link(); }
  }
  function trail() {
    const trails = provenance(run, view.chosen).map(({ key, value, operations }) => {
      const box = element('div', ''), items = element('ol', '');
      box.append(element('p', 'value ' + plain(value) + (key === null ? '' : ' of key ' + plain(key)) + ': ' + operations.length + ' operations'), items);
      const more = (from) => {
        for (const j of operations.slice(from, from + 200)) {
          const item = element('li', seconds(run.start[j]) + ' ' + deed(run, j) + ': ');
          item.append(button(short(run, j) + ' ' + OUTCOMES[run.outcome[j]] + ' by process ' + run.process[j], () => open(j)));
          items.append(item);
        }
        if (from + 200 < operations.length) { const next = button('show more', () => { next.remove(); more(from + 200); }); box.append(next); }
      };
      more(0);
      return box;
    });
    by('trail').replaceChildren(...(trails.length ? trails : [element('p', 'This operation has no value of its own.')]));
  }
  by('provenance').addEventListener('click', trail);

  // What the log of its replica, or of any, says around it.
  for (const one of replicas) by('whose').append(element('option', plain(one.name)));
  function tellLog() {
    const i = view.chosen, around = Number(by('around').value) * 1e9, own = i >= 0 && run.node[i] ? JSON.parse(run.word(run.node[i])) : null;
    const asked = by('whose').selectedIndex - 1, wanted = asked >= 0 ? [replicas[asked]] : replicas.filter((one) => one.name === own);
    by('around-it').hidden = i < 0;
    if (i >= 0) by('log').replaceChildren(...wanted.map((one) => excerpt(one, run.start[i], run.outcome[i] ? run.end[i] : run.start[i], around)));
  }
  by('around').addEventListener('change', tellLog);
  by('whose').addEventListener('change', tellLog);
  const copy = (text) => navigator.clipboard?.writeText(text).then(() => { status.textContent = 'Copied.'; }, () => { status.textContent = 'This browser does not let the page copy.'; });
  by('copy-json').addEventListener('click', () => copy(eventLines(run, view.chosen).map(([, line]) => line).join('\n')));
  by('copy-link').addEventListener('click', () => { address(); copy(location.href); });
  by('copy-command')?.addEventListener('click', () => copy(by('command').textContent));

  // The proof: what fits, one operation at a time, then where it sticks.
  const steps = [...document.querySelectorAll('.order > li, .stuck')];
  let step = 0;
  function walk(to) {
    if (steps.length === 0) { status.textContent = 'This run has no order to step through.'; return; }
    step = Math.min(steps.length, Math.max(1, to));
    steps.forEach((item, n) => { item.classList.toggle('now', n === step - 1); item.setAttribute('aria-current', n === step - 1 ? 'step' : 'false'); });
    steps[step - 1].scrollIntoView({ block: 'nearest' });
    const i = found(Number(steps[step - 1].dataset.op ?? -1));
    if (i >= 0) open(i);
    link();
  }
  document.querySelectorAll('[data-walk]').forEach((control) => control.addEventListener('click', () => walk(step + Number(control.dataset.walk))));
  document.querySelectorAll('[data-op]').forEach((link) => {
    const go = (event) => { event.stopPropagation(); const i = found(Number(link.dataset.op)); if (i >= 0) open(i); };
    link.addEventListener('click', go);
    link.addEventListener('keydown', (event) => { if (event.key === 'Enter' && event.target === link && link.tagName !== 'BUTTON') go(event); });
  });
  told.proof.forEach((index) => { const i = found(index); if (i >= 0) view.marked.set(i, ''); });
  told.order.forEach((index, n) => { const i = found(index); if (i >= 0) view.marked.set(i, String(n + 1)); });
  told.accused.forEach((index) => { const i = found(index); if (i >= 0) view.marked.set(i, '✗'); });
  function centre() {
    const { start, end, last } = view.axis, all = [...view.marked.keys()];
    const from = Math.min(...all.map((i) => start[i])), to = Math.max(...all.map((i) => Math.min(end[i], start[i] + last / 50)));
    show(from - (to - from) * 0.3 - 1e-3 * last, to + (to - from) * 0.3 + 1e-3 * last);
  }

  // Keys.
  const bad = (way) => {
    const place = lowest(shown.length, (k) => shown[k], view.chosen);
    for (let k = view.chosen < 0 ? (way > 0 ? 0 : -1) : place + way; k >= 0 && k < shown.length; k += way) if (RANK[run.outcome[shown[k]]] > 1 && shown[k] !== view.chosen) return open(shown[k]);
    status.textContent = way > 0 ? 'No later operation failed or is unknown.' : 'No earlier operation failed or is unknown.';
  };
  const axis = () => {
    view.axis = view.axis === run.axes.time ? run.axes.order : run.axes.time;
    view.from = 0; view.to = view.axis.last;
    lay();
    if (view.marked.size) centre();
  };
  const middle = () => (view.from + view.to) / 2;
  const turn = () => {
    const dark = getComputedStyle(root).getPropertyValue('--dark').trim() === 'yes';
    root.dataset.theme = dark ? 'light' : 'dark';
    try { localStorage.setItem('theme', dark ? 'light' : 'dark'); } catch { /* a sandbox may forbid it */ }
    view.colours = palette(room); redraw();
  };
  const keys = {
    w: () => zoom(0.5, middle()), s: () => zoom(2, middle()), a: () => move(-0.25), d: () => move(0.25), f: whole, p: () => view.marked.size && centre(),
    ',': () => open(list.step(-1)), '.': () => open(list.step(1)), ArrowUp: () => open(list.step(-1)), ArrowDown: () => open(list.step(1)),
    n: () => bad(1), N: () => bad(-1), '[': () => walk(step - 1), ']': () => walk(step + 1), t: axis, c: turn,
    g: () => form.elements.goto.focus(), '/': () => form.elements.key.focus(), '?': () => { by('help').hidden = !by('help').hidden; }, Escape: () => { by('help').hidden = true; },
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches('input, select')) { if (event.key === 'Escape') canvas.focus(); return; }
    if (event.key.startsWith('Arrow') && event.target !== by('grid')) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  by('axis').addEventListener('click', axis);
  by('all').addEventListener('click', whole);
  by('theme').addEventListener('click', turn);
  by('ask').addEventListener('click', keys['?']);

  // Mouse and touch.
  const moment = (event, box) => { const left = gutter(box.clientWidth); return (event.clientX - box.getBoundingClientRect().left - left) / (box.clientWidth - left); };
  const time = (event) => view.from + moment(event, canvas) * (view.to - view.from);
  for (const one of [canvas, plots]) one.addEventListener('wheel', (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 0.8 : 1.25, time(event)); }, { passive: false });
  let grip = null;
  for (const one of [canvas, plots]) {
    one.addEventListener('pointerdown', (event) => { grip = { x: event.clientX, t: time(event), from: view.from, to: view.to, moved: false, brush: event.shiftKey }; one.setPointerCapture(event.pointerId); });
    one.addEventListener('pointermove', (event) => {
      if (!grip || Math.abs(event.clientX - grip.x) < 3) return;
      grip.moved = true;
      const way = ((event.clientX - grip.x) / (canvas.clientWidth - gutter(canvas.clientWidth))) * (grip.to - grip.from);
      if (!grip.brush) show(grip.from - way, grip.to - way);
    });
    one.addEventListener('pointerup', (event) => {
      if (grip?.moved && grip.brush) show(Math.min(grip.t, time(event)), Math.max(grip.t, time(event)));
      else if (grip && !grip.moved && one === canvas) pick(event.clientY - canvas.getBoundingClientRect().top, time(event));
      grip = null;
    });
  }
  function pick(y, t) {
    const lane = view.lanes[Math.floor((y - laneTop(view)) / ROW)], row = Math.floor((y - HEAD) / hostRow(view)), host = told.hosts[row];
    if (lane && y >= laneTop(view)) {
      const before = lowest(lane.ops.length, (k) => view.axis.start[lane.ops[k]], t);
      return open(lane.ops[Math.max(0, before - 1)]);
    }
    if (!host) return;
    const met = told.faults.filter((one) => host.faults.includes(one.id) && view.placed(one.started) <= t && t <= view.placed(one.ended ?? run.axes.time.last));
    const moment = timeOf(view, t), one = view.replicas[row];
    const rows = [...(one ? [['replica, at ' + seconds(moment), standing(one, moment)]] : []), ...met.map((fault) => ['fault', plain(fault.story)])];
    if (rows.length) { view.chosen = -1; by('chosen').hidden = true; by('around-it').hidden = false; describe(by('drawer'), rows); by('log').replaceChildren(...(replicas[row] ? [excerpt(replicas[row], moment, moment, Number(by('around').value) * 1e9)] : [])); redraw(); }
  }
  let brush = null;
  map.addEventListener('pointerdown', (event) => { brush = moment(event, map); map.setPointerCapture(event.pointerId); });
  map.addEventListener('pointerup', (event) => {
    const to = moment(event, map), last = view.axis.last, half = (view.to - view.from) / 2;
    if (brush !== null) { if (Math.abs(to - brush) < 0.004) show(to * last - half, to * last + half); else show(Math.min(to, brush) * last, Math.max(to, brush) * last); }
    brush = null;
  });
  // One hair over timeline and plots, and what held at that moment.
  const hair = by('hair'), both = by('both');
  both.addEventListener('pointermove', (event) => {
    const part = moment(event, canvas);
    hair.hidden = part < 0 || part > 1;
    if (hair.hidden) return;
    hair.style.left = event.clientX - both.getBoundingClientRect().left + 'px';
    const t = timeOf(view, view.from + part * (view.to - view.from)), on = told.faults.filter((one) => one.started !== null && one.started <= t && t <= (one.ended ?? Infinity));
    by('pointed').textContent = ['at ' + seconds(t), ...view.replicas.map((one) => standing(one, t)), ...on.map((one) => 'fault #' + one.id + ' ' + plain(one.word))].join('; ');
  });
  both.addEventListener('pointerleave', () => { hair.hidden = true; });
  addEventListener('resize', () => { redraw(); list.paint(); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { view.colours = palette(room); redraw(); });

  // Exports.
  by('save-jsonl').addEventListener('click', () => save('history.jsonl', jsonLines(run, told.others), 'application/jsonl'));
  by('save-csv').addEventListener('click', () => save('operations.csv', [csv(run, shown)], 'text/csv'));
  by('save-trace').addEventListener('click', () => save('trace.json', [trace(run, told.faults)], 'application/json'));
  document.querySelectorAll('[data-case]').forEach((control) => {
    const [name, text] = told.cases.find(([name]) => name === control.dataset.case) ?? ['window.jsonl', ''];
    control.addEventListener('click', () => save(name, [text], 'application/jsonl'));
  });
  by('save-png').addEventListener('click', () => canvas.toBlob((blob) => save('timeline.png', [blob], 'image/png')));

  // What a link asks for.
  function follow() {
    const asked = new URLSearchParams(location.hash.slice(1)), span = /^([\d.e+]+)-([\d.e+]+)$/.exec(asked.get('t') ?? '');
    for (const name of FILTERS) form.elements[name].value = asked.get(name) ?? '';
    if (asked.get('axis') === 'order') view.axis = run.axes.order;
    view.from = 0; view.to = view.axis.last;
    const op = asked.has('op') ? found(Number(asked.get('op'))) : -1;
    said = asked.has('op') && op < 0 ? ' The operation of this link is not in this run.' : '';
    lay();
    if (span && Number(span[2]) > Number(span[1])) show(Number(span[1]), Number(span[2]));
    else if (view.marked.size) { centre(); list.choose([...view.marked.keys()].at(-1)); }
    if (asked.has('step')) walk(Number(asked.get('step')) || 1);
    if (op >= 0) open(op);
  }
  follow();
  addEventListener('hashchange', follow);
  draw();
  performance.mark('ready');
  document.body.dataset.ready = 'yes';
}

explore().catch((error) => {
  root.classList.remove('live');
  document.querySelector('.still').prepend(element('p', 'The operations cannot be explored, only seen: ' + error.message));
});
