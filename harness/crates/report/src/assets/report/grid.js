// Lists the operations in a grid that contains only the visible rows.

const TALL = 24;
// Browsers limit the height of an element; beyond it, one pixel of scrolling is more than one pixel of rows.
const MOST_TALL = 1e7;
const HEADS = ['#', 'from', 'process', 'replica', 'what', 'outcome', 'took'];

function gridOf(run, choose) {
  const list = { box: by('grid'), rows: by('rows'), run, choose, shown: [], chosen: -1 }, head = element('div', '', { role: 'row', class: 'heads' });
  head.append(...HEADS.map((text) => element('span', text, { role: 'columnheader' })));
  list.box.setAttribute('aria-colcount', HEADS.length);
  list.box.prepend(head);
  list.box.addEventListener('scroll', () => paintGrid(list));
  return list;
}

function listInGrid(list, operations) {
  list.shown = operations;
  list.box.setAttribute('aria-rowcount', operations.length);
  list.box.scrollTop = 0;
  paintGrid(list);
}

const placeIn = ({ shown }, i) => lowest(shown.length, (k) => shown[k], i);

function chooseInGrid(list, i) {
  const { box, shown } = list, place = placeIn(list, i), top = place * TALL, seen = box.scrollTop * stretch(list);
  list.chosen = i;
  const outside = top < seen || top + 2 * TALL > seen + box.clientHeight;
  if (shown[place] === i && outside) box.scrollTop = Math.max(0, top - box.clientHeight / 2) / stretch(list);
  paintGrid(list);
}

// Returns the operation after the selected one, or before it; the first if there is none.
function neighbour(list, way) {
  return list.shown[list.chosen < 0 ? 0 : placeIn(list, list.chosen) + way];
}

const tallness = ({ shown }) => Math.min(MOST_TALL, shown.length * TALL);

function stretch(list) {
  const { shown, box } = list;
  return tallness(list) < MOST_TALL ? 1 : Math.max(1, (shown.length * TALL - box.clientHeight) / (MOST_TALL - box.clientHeight));
}

function paintGrid(list) {
  const { box, rows, shown } = list, top = box.scrollTop * stretch(list);
  const from = Math.max(0, Math.floor(top / TALL) - 2), to = Math.min(shown.length, from + Math.ceil(box.clientHeight / TALL) + 5);
  rows.style.height = tallness(list) + 'px';
  rows.replaceChildren();
  for (let place = from; place < to; place++) rows.append(rowOf(list, place, box.scrollTop + place * TALL - top));
  // The selected row, as long as it exists.
  const active = rows.querySelector('[aria-selected=true]');
  if (active) box.setAttribute('aria-activedescendant', active.id); else box.removeAttribute('aria-activedescendant');
}

function rowOf({ run, choose, shown, chosen }, place, top) {
  const i = shown[place], row = element('div', '', { role: 'row', 'aria-rowindex': place + 1, 'aria-selected': i === chosen, id: 'row' + place });
  const replica = run.node[i] ? plain(JSON.parse(run.word(run.node[i]))) : '';
  const cells = [run.index[i], (run.start[i] / 1e9).toFixed(6), run.process[i], replica, short(run, i), OUTCOMES[run.outcome[i]], took(run, i)];
  row.style.top = top + 'px';
  row.className = OUTCOMES[run.outcome[i]];
  row.append(...cells.map((text) => element('span', text, { role: 'gridcell' })));
  row.addEventListener('click', () => choose(i));
  return row;
}
