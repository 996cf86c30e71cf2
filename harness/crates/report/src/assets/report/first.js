// Runs before anything is drawn: a page whose script runs does not first lay out the still pictures, which cost a long
// history most of its first frame. Where the rest of the script is not there, or fails, they are shown after all.
const root = document.documentElement;
root.classList.add('live');
try { root.dataset.theme = localStorage.getItem('theme') ?? ''; } catch { /* a sandbox may forbid it */ }
addEventListener('DOMContentLoaded', () => { if (typeof explore !== 'function') root.classList.remove('live'); });
