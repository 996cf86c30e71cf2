// Handles keys: everything that a pointer can do, except while the user types in a field.

const KEYS = {
  w: (page) => zoom(page, 0.5, middle(page)),
  s: (page) => zoom(page, 2, middle(page)),
  a: (page) => shift(page, -0.25),
  d: (page) => shift(page, 0.25),
  f: whole,
  p: centre,
  t: turnAxis,
  c: turnTheme,
  r: (page) => fold(page, 'replicas'),
  l: (page) => fold(page, 'clients'),
  y: turnLatency,
  ',': (page) => choose(page, neighbour(page.list, -1)),
  '.': (page) => choose(page, neighbour(page.list, 1)),
  ArrowUp: (page) => choose(page, neighbour(page.list, -1)),
  ArrowDown: (page) => choose(page, neighbour(page.list, 1)),
  n: (page) => chooseBad(page, 1),
  N: (page) => chooseBad(page, -1),
  '[': (page) => walk(page, page.step - 1),
  ']': (page) => walk(page, page.step + 1),
  g: (page) => page.form.elements.goto.focus(),
  '/': (page) => page.form.elements.key.focus(),
  '?': () => { by('help').hidden = !by('help').hidden; },
  Escape: () => { by('help').hidden = true; },
};

// Keys that also have a button.
const BUTTONS = { all: 'f', axis: 't', theme: 'c', ask: '?', 'fold-replicas': 'r', 'fold-clients': 'l', latency: 'y' };

// Selects the next or previous operation that failed or is unknown.
function chooseBad(page, way) {
  const { run, view, shown } = page, place = lowest(shown.length, (k) => shown[k], view.chosen);
  const bad = (i) => i !== view.chosen && RANK[run.outcome[i]] > 1;
  let k = view.chosen >= 0 ? place + way : way > 0 ? 0 : -1;
  while (k >= 0 && k < shown.length && !bad(shown[k])) k += way;
  if (k >= 0 && k < shown.length) choose(page, shown[k]);
  else tell(way > 0 ? 'No later operation failed or is unknown.' : 'No earlier operation failed or is unknown.');
}

function press(page, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches('input, select')) {
    if (event.key === 'Escape') page.canvas.focus();
    return;
  }
  if (event.key.startsWith('Arrow') && event.target !== by('grid')) return;
  if (/^\d$/.test(event.key)) onlyKey(page, Number(event.key));
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key](page);
}

function hearKeys(page) {
  document.addEventListener('keydown', (event) => press(page, event));
  for (const [id, key] of Object.entries(BUTTONS)) by(id).addEventListener('click', () => KEYS[key](page));
}
