// Applies filters: hides the operations that do not pass, and says how many these are.

const filtersOf = ({ form }) => Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()]));
const tell = (words) => { by('status').textContent = words; };

function refilter(page) {
  const { run, view, list } = page, shown = passing(run, filtersOf(page));
  page.shown = shown;
  layLanes(page);
  view.summary = summary(run, shown);
  listInGrid(list, shown); chooseInGrid(list, view.chosen);
  tellShown(page);
  redraw(page); link(page);
}

function tellShown({ run, view, shown, said }) {
  const all = shown.length === run.count ? 'all shown' : shown.length + ' of them pass the filter, the others are hidden';
  const lanes = view.folded.has('clients') ? 'folded into one lane' : 'on ' + view.lanes.length + ' lanes';
  tell(run.count + ' operations ' + lanes + ', ' + all + '.' + said);
}

// Returns the keys of the run: those of the proof first, then the others, by number of operations.
function keysOf({ run, view }) {
  const all = run.input.keys();
  return [...new Set([...byUse(run, view.marked.keys()), ...byUse(run, all)])];
}

function byUse(run, operations) {
  const uses = new Uint32Array(run.words + 1), keys = new Map();
  for (const i of operations) uses[run.input[i]]++;
  uses.forEach((times, n) => {
    for (const key of times ? new Set(touched(run, n).map(([key]) => key)) : []) if (key !== null) keys.set(key, (keys.get(key) ?? 0) + times);
  });
  return [...keys].sort((a, b) => b[1] - a[1]).map(([key]) => key);
}

// Writes a key as a user would type it: as JSON only where it must be.
function written(key) {
  const text = JSON.parse(key);
  return typeof text === 'string' && key === '"' + text + '"' && text === text.trim() && text !== '' ? text : key;
}

// Shows only the operations of the n-th key, or all again if there is none.
function onlyKey(page, n) {
  page.keys ??= keysOf(page);
  if (n > page.keys.length) { tell('This run has ' + (page.keys.length || 'no') + ' keys.'); return; }
  page.form.elements.key.value = n ? written(page.keys[n - 1]) : '';
  refilter(page);
}

// Returns the operation that began at an index of the history.
function found({ run }, index) {
  const i = lowest(run.count, (k) => run.index[k], index);
  return run.index[i] === index ? i : -1;
}

function goTo(page) {
  const asked = page.form.elements.goto.value.trim(), i = asked === '' ? -1 : found(page, Number(asked));
  if (i >= 0) { choose(page, i); page.canvas.focus(); } else if (asked !== '') tell('No operation of this run has the invocation #' + asked + '.');
}

function hearFilters(page) {
  let later = 0;
  page.form.addEventListener('input', (event) => {
    if (event.target.name === 'goto') return;
    clearTimeout(later);
    later = setTimeout(refilter, 150, page);
  });
  // The form is empty only after all listeners have run.
  page.form.addEventListener('reset', () => setTimeout(refilter, 0, page));
  page.form.addEventListener('submit', (event) => { event.preventDefault(); goTo(page); });
}
