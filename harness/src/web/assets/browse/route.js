// Shows the view of the address. The form at the top filters the list and the matrix.

const main = document.getElementById('main');
const [q, sort, reverse] = ['q', 'sort', 'reverse'].map((id) => document.getElementById(id));

async function show(view) {
  follower?.close();
  main.setAttribute('aria-busy', 'true');
  let parts;
  try { parts = await view(); } catch (error) { parts = [element('p', error.message, { role: 'alert' })]; }
  // A late answer to an earlier query is dropped.
  if (view === latest) { main.replaceChildren(...parts); main.removeAttribute('aria-busy'); }
}
let latest = null;
const view = (make) => { latest = make; show(make); };

function list(words) {
  if (document.activeElement !== q) q.value = words.get('q') ?? '';
  sort.value = words.get('sort') || 'started'; reverse.checked = words.get('reverse') === 'true';
  view(words.has('matrix') ? matrix : () => runs(Number(words.get('from')) || 0));
}

function route() {
  const words = asked(), told = (name) => words.get(name);
  const now = ['matrix', 'live', 'run', 'compare'].find((name) => words.has(name)) ?? 'runs';
  document.querySelectorAll('header nav a').forEach((one) => { if (one.textContent === now) one.setAttribute('aria-current', 'page'); else one.removeAttribute('aria-current'); });
  document.title = 'harness: ' + (told('run') || told('live') || now);
  if (now === 'run') return view(() => one(told('run')));
  if (now === 'compare') return view(() => compare(told('compare'), told('with')));
  if (now === 'live') return view(told('live') ? () => follow(told('live')) : live);
  return list(words);
}

// A query changes the address; single keystrokes leave no entries in the browser's history.
let typing = 0;
function refresh(event) {
  const to = (asked().has('matrix') ? '#matrix&' : '#') + address(words()).slice(1);
  if (event.type === 'input') { history.replaceState(null, '', to); route(); } else location.hash = to;
}
q.addEventListener('input', (event) => { clearTimeout(typing); typing = setTimeout(refresh, 200, event); });
sort.addEventListener('change', refresh);
reverse.addEventListener('change', refresh);
document.getElementById('ask').addEventListener('submit', (event) => { event.preventDefault(); refresh(event); });
addEventListener('hashchange', route);
route();
