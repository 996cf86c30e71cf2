// Handles mouse and touch on timeline, plots and map: the wheel zooms at the pointer, dragging moves.

// Returns where an event is in a canvas: from 0 to 1 between the names and the right edge.
function share(event, canvas) {
  const left = gutter(canvas.clientWidth);
  return (event.clientX - canvas.getBoundingClientRect().left - left) / (canvas.clientWidth - left);
}

function placeOf({ view, canvas }, event) {
  return view.from + share(event, canvas) * (view.to - view.from);
}

function hearPointer(page) {
  for (const one of [page.canvas, by('plots')]) {
    one.addEventListener('wheel', (event) => { event.preventDefault(); zoom(page, event.deltaY < 0 ? 0.8 : 1.25, placeOf(page, event)); }, { passive: false });
    one.addEventListener('pointerdown', (event) => grip(page, event, one));
    one.addEventListener('pointermove', (event) => drag(page, event));
    one.addEventListener('pointerup', (event) => release(page, event, one));
  }
  by('both').addEventListener('pointermove', (event) => point(page, event));
  by('both').addEventListener('pointerleave', () => { by('hair').hidden = true; });
}

function grip(page, event, canvas) {
  const { from, to } = page.view;
  page.grip = { x: event.clientX, at: placeOf(page, event), from, to, moved: false, brush: event.shiftKey };
  canvas.setPointerCapture(event.pointerId);
}

function drag(page, event) {
  const { grip, canvas } = page;
  if (!grip || Math.abs(event.clientX - grip.x) < 3) return;
  grip.moved = true;
  const way = ((event.clientX - grip.x) / (canvas.clientWidth - gutter(canvas.clientWidth))) * (grip.to - grip.from);
  if (!grip.brush) show(page, grip.from - way, grip.to - way);
}

function release(page, event, canvas) {
  const { grip } = page, place = placeOf(page, event);
  page.grip = null;
  if (grip?.moved && grip.brush) show(page, Math.min(grip.at, place), Math.max(grip.at, place));
  else if (grip && !grip.moved && canvas === page.canvas) pick(page, event.clientY - canvas.getBoundingClientRect().top, place);
}

// Finds what was clicked: the name of a lane, a host's row, or an operation of a client.
function pick(page, y, place) {
  const { view, told } = page, row = Math.floor((y - HEAD) / hostRow(view));
  if (y < HEAD) return;
  if (place < view.from) { fold(page, y < laneTop(view) ? 'replicas' : 'clients'); return; }
  if (y < laneTop(view)) {
    if (view.folded.has('replicas')) tellHosts(page, told.hosts.map((_, row) => row), place);
    else if (told.hosts[row]) tellHosts(page, [row], place);
    return;
  }
  const lane = view.lanes[Math.floor((y - laneTop(view)) / ROW)];
  if (lane) choose(page, lane.ops[Math.max(0, lowest(lane.ops.length, (k) => view.axis.start[lane.ops[k]], place) - 1)]);
}

// Draws one hairline over timeline and plots, and shows the state at that time.
function point(page, event) {
  const { view, canvas } = page, part = share(event, canvas), hair = by('hair');
  hair.hidden = part < 0 || part > 1;
  canvas.style.cursor = part < 0 ? 'pointer' : '';
  if (hair.hidden) return;
  hair.style.left = event.clientX - by('both').getBoundingClientRect().left + 'px';
  by('pointed').textContent = heldAt(page, timeOf(view, placeOf(page, event)));
}

function heldAt({ view, told }, t) {
  const on = told.faults.filter((one) => one.started !== null && one.started <= t && t <= (one.ended ?? Infinity));
  return ['at ' + seconds(t), ...view.replicas.map((one) => standing(one, t)), ...on.map((one) => 'fault #' + one.id + ' ' + plain(one.word))].join('; ');
}

// On the map, dragging selects the part that is shown below; a click moves there.
function hearMap(page) {
  const map = by('map');
  let since = null;
  map.addEventListener('pointerdown', (event) => { since = share(event, map); map.setPointerCapture(event.pointerId); });
  map.addEventListener('pointerup', (event) => {
    if (since !== null) showPart(page, since, share(event, map));
    since = null;
  });
}

function showPart(page, since, until) {
  const { view } = page, { last } = view.axis, half = (view.to - view.from) / 2;
  if (Math.abs(until - since) < 0.004) show(page, until * last - half, until * last + half);
  else show(page, Math.min(until, since) * last, Math.max(until, since) * last);
}
