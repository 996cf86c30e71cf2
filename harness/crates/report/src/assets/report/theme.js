// Switches between dark and light. Canvases do not use the style sheet, so their colours are read again on each change.

function recolour(page) {
  page.view.colours = palette(by('explorer'));
  redraw(page);
}

function turnTheme(page) {
  const dark = getComputedStyle(root).getPropertyValue('--dark').trim() === 'yes';
  root.dataset.theme = dark ? 'light' : 'dark';
  try { localStorage.setItem('theme', root.dataset.theme); } catch { /* a sandbox may forbid it */ }
  recolour(page);
}

function hearTheme(page) {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => recolour(page));
}
