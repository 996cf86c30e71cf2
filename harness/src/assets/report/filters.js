// Filters: what does not pass is nowhere to be seen, and how much that is is said.

const filtersOf = ({ form }) => Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()]));
const tell = (words) => { by('status').textContent = words; };

function refilter(page) {
  const { run, view, list, told } = page, shown = passing(run, filtersOf(page));
  page.shown = shown;
  view.lanes = lanesOf(run, view.axis, shown, Math.max(1, told.clients));
  view.summary = summary(run, shown);
  list.list(shown); list.choose(view.chosen);
  const all = shown.length === run.count ? 'all of them here' : shown.length + ' of them pass the filter, the others are hidden';
  tell(run.count + ' operations on ' + view.lanes.length + ' lanes, ' + all + '.' + page.said);
  redraw(page); link(page);
}

// The operation that began at an index of the history.
function found({ run }, index) {
  const i = lowest(run.count, (k) => run.index[k], index);
  return run.index[i] === index ? i : -1;
}

function goTo(page) {
  const asked = page.form.elements.goto.value.trim(), i = asked === '' ? -1 : found(page, Number(asked));
  if (i >= 0) { choose(page, i); page.canvas.focus(); } else if (asked !== '') tell('No operation of this run began at index ' + asked + '.');
}

function hearFilters(page) {
  let later = 0;
  page.form.addEventListener('input', (event) => {
    if (event.target.name === 'goto') return;
    clearTimeout(later);
    later = setTimeout(refilter, 150, page);
  });
  // The form is empty only after everybody has heard of it.
  page.form.addEventListener('reset', () => setTimeout(refilter, 0, page));
  page.form.addEventListener('submit', (event) => { event.preventDefault(); goTo(page); });
}
