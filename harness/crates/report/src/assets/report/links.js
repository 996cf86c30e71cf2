// Keeps the view in the page's address, and restores the view of an address as far as this run has it.

function address(page) {
  const { run, view, step } = page, filters = filtersOf(page), words = new URLSearchParams();
  if (view.chosen >= 0) words.set('op', run.index[view.chosen]);
  words.set('t', Math.round(view.from) + '-' + Math.round(view.to));
  for (const name of FILTERS) if (filters[name]) words.set(name, filters[name]);
  if (view.axis === run.axes.order) words.set('axis', 'order');
  if (view.folded.size) words.set('folded', [...view.folded].join('-'));
  if (view.linear) words.set('latency', 'linear');
  if (step > 0) words.set('step', step);
  try { history.replaceState(null, '', '#' + words); } catch { /* a sandbox may forbid it */ }
}

// Browsers refuse addresses that change at every frame.
function link(page) {
  clearTimeout(page.linking);
  page.linking = setTimeout(address, 200, page);
}

function follow(page) {
  const { run, view, form } = page, words = new URLSearchParams(location.hash.slice(1));
  for (const name of FILTERS) form.elements[name].value = words.get(name) ?? '';
  view.axis = words.get('axis') === 'order' ? run.axes.order : run.axes.time;
  view.folded = new Set(FOLDED.filter((kind) => (words.get('folded') ?? '').split('-').includes(kind)));
  view.linear = words.get('latency') === 'linear';
  view.from = 0; view.to = view.axis.last;
  const op = words.has('op') ? found(page, Number(words.get('op'))) : -1;
  page.said = words.has('op') && op < 0 ? ' The operation of this link is not in this run.' : '';
  refilter(page);
  followSpan(page, words.get('t') ?? '');
  if (words.has('step')) walk(page, Number(words.get('step')) || 1);
  if (op >= 0) choose(page, op);
}

// Returns the window in the address, or that of the proof.
function followSpan(page, words) {
  const [, from, to] = /^([\d.e+]+)-([\d.e+]+)$/.exec(words) ?? [], { marked } = page.view;
  if (Number(to) > Number(from)) show(page, Number(from), Number(to));
  else if (marked.size) { centre(page); chooseInGrid(page.list, [...marked.keys()].at(-1)); }
}
