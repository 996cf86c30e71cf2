// Saves the data of the page as files, in the formats of other tools.

function save(name, parts, type) {
  const link = element('a', '', { download: name });
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const SAVED = {
  'save-jsonl': ({ run, told }) => save('history.jsonl', jsonLines(run, told.others), 'application/jsonl'),
  'save-csv': ({ run, shown }) => save('operations.csv', [csv(run, shown)], 'text/csv'),
  'save-trace': ({ run, told }) => save('trace.json', [trace(run, told.faults)], 'application/json'),
  'save-plots': ({ view }) => save('plots.csv', [plotted(view, columnsIn(by('plots').clientWidth))], 'text/csv'),
  'save-png': (page) => pixels(page).toBlob((blob) => save('timeline.png', [blob], 'image/png')),
  'save-svg': (page) => save('timeline.svg', [shapes(page)], 'image/svg+xml'),
};

function hearSaving(page) {
  for (const [id, act] of Object.entries(SAVED)) by(id).addEventListener('click', () => act(page));
  for (const control of document.querySelectorAll('[data-case]')) {
    const [name, text] = page.told.cases.find(([name]) => name === control.dataset.case) ?? ['window.jsonl', ''];
    control.addEventListener('click', () => save(name, [text], 'application/jsonl'));
  }
}
