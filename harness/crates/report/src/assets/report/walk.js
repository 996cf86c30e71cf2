// Steps through the proof: the longest consistent prefix one by one, then the operations that cannot come next.

const stepsOf = () => [...document.querySelectorAll('.order > li, .stuck')];

function walk(page, to) {
  const { steps } = page;
  if (steps.length === 0) { tell('This run has no proof to step through.'); return; }
  page.step = Math.min(steps.length, Math.max(1, to));
  const now = steps[page.step - 1];
  for (const item of steps) { item.classList.toggle('now', item === now); item.setAttribute('aria-current', item === now ? 'step' : 'false'); }
  now.scrollIntoView({ block: 'nearest' });
  choose(page, found(page, Number(now.dataset.op ?? -1)));
  link(page);
}

// Later marks win: an operation that no order explains may also have a place in the proof.
function markProof(page) {
  const { told, view } = page;
  const mark = (index, sign) => { const i = found(page, index); if (i >= 0) view.marked.set(i, sign); };
  told.proof.forEach((index) => mark(index, ''));
  told.order.forEach((index, n) => mark(index, String(n + 1)));
  told.accused.forEach((index) => mark(index, '✗'));
}

// Returns the window of the proof, with some room around it.
function centre(page) {
  const { marked, axis: { start, end, last } } = page.view, all = [...marked.keys()];
  if (all.length === 0) return;
  const from = Math.min(...all.map((i) => start[i])), to = Math.max(...all.map((i) => Math.min(end[i], start[i] + last / 50)));
  const room = (to - from) * 0.3 + 1e-3 * last;
  show(page, from - room, to + room);
}

function hearWalk(page) {
  for (const control of document.querySelectorAll('[data-walk]')) control.addEventListener('click', () => walk(page, page.step + Number(control.dataset.walk)));
  for (const name of document.querySelectorAll('[data-op]')) {
    const go = (event) => { event.stopPropagation(); choose(page, found(page, Number(name.dataset.op))); };
    name.addEventListener('click', go);
    name.addEventListener('keydown', (event) => { if (event.key === 'Enter' && event.target === name && name.tagName !== 'BUTTON') go(event); });
  }
}
