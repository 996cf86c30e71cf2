// Runs before anything is drawn: with scripts, the page does not lay out its static pictures first, which would take most
// of the first frame of a long history. If the rest of the script is missing or fails, they are shown after all.
const root = document.documentElement;
root.classList.add('live');
try { root.dataset.theme = localStorage.getItem('theme') ?? ''; } catch { /* a sandbox may forbid it */ }
addEventListener('DOMContentLoaded', () => { if (typeof explore !== 'function') root.classList.remove('live'); });
