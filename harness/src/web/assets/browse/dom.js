// Creates the elements of the pages. All text is inserted as text, never as markup.

const MARK = { valid: '✓', unknown: '?', invalid: '✗' };

const element = (tag, content = [], attributes = {}) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (typeof value === 'boolean') made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...[content].flat().map((part) => (part instanceof Node ? part : String(part ?? ''))));
  return made;
};
const cell = (content) => (content?.tagName === 'TD' ? content : element('td', content));
const row = (cells, attributes) => element('tr', cells.map(cell), attributes);
// A table that is wider than the page can be scrolled by keyboard.
const table = (heads, rows, name) => element('div', element('table', [
  element('thead', element('tr', heads.map((head) => element('th', head, { scope: 'col' })))), element('tbody', rows),
]), { class: 'wide', tabindex: '0', role: 'region', 'aria-label': name });
const part = (title, ...content) => element('section', [element('h2', title), ...content]);
const note = (text) => element('p', text, { class: 'faint' });
const button = (text, onclick) => element('button', text, { type: 'button', onclick });
const link = (text, href, attributes) => element('a', text, { href, ...attributes });
const verdict = (validity) => element('span', `${MARK[validity] ?? ''} ${validity}`, { class: validity });
const way = (run) => run.split('/').map(encodeURIComponent).join('/');
const runLink = (run) => link(run, `#run=${way(run)}`);
const seconds = (ns) => (ns / 1e9).toFixed(1) + '\u00a0s';
const STATES = { witnessed: 'confirmed', unwitnessed: 'not confirmed' };
const stateName = (state) => STATES[state] ?? state;
const lasted = ({ started, ended }) => (started === null ? 'never' : `${seconds(started)} to ${ended === null ? 'the end' : seconds(ended)}`);

// Reads the address behind #: the view and its query, so that a link restores both.
const asked = () => new Map(location.hash.slice(1).split('&').filter(Boolean).map((piece) => {
  const [name, ...value] = piece.split('=');
  return [decodeURIComponent(name), decodeURIComponent(value.join('='))];
}));
const address = (words) => '#' + Object.entries(words).filter(([, value]) => value).map(([name, value]) => `${name}=${way(String(value))}`).join('&');

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer.json();
}
