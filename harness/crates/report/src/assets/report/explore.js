// Puts the page together: all input changes one view, and text of the run is shown only through
// textContent and fillText. `page` is passed everywhere: the run, the view and the selection.

const by = (id) => document.getElementById(id);

// Returns the page in its initial state.
async function unpacked() {
  const told = JSON.parse(by('outline').textContent);
  const [run, replicas] = await Promise.all([unpack(by('columns').textContent, by('words').textContent), observed(by('observed').textContent, told.hosts)]);
  const page = { run, told, replicas, view: viewOf(run, told, replicas), canvas: by('lanes'), form: by('filter'), steps: stepsOf(), step: 0, shown: [], said: '', waiting: false, linking: 0, grip: null, keys: null };
  page.list = gridOf(run, (i) => choose(page, i));
  return page;
}

async function explore() {
  const page = await unpacked();
  by('noted').textContent = remarks(page.view);
  markProof(page);
  for (const hear of [hearFilters, hearChosen, hearWalk, hearKeys, hearPointer, hearMap, hearTheme, hearSaving]) hear(page);
  addEventListener('resize', () => { redraw(page); paintGrid(page.list); });
  addEventListener('hashchange', () => follow(page));
  follow(page);
  draw(page);
  performance.mark('ready');
  document.body.dataset.ready = 'yes';
}

explore().catch((error) => {
  root.classList.remove('live');
  document.querySelector('.still').prepend(element('p', 'Cannot unpack the operations, the static pictures follow: ' + error.message));
});
