// Makes a picture of the view, as pixels or as shapes. Shapes are drawn by the same code as the canvases, on a context
// that creates a node for each: text stays text, and no markup is concatenated.

// Draws timeline and plots on one canvas, on the background colour of the page.
function pixels({ canvas, view }) {
  const plots = by('plots'), whole = element('canvas', ''), gap = Math.round(6 * (devicePixelRatio || 1));
  whole.width = canvas.width; whole.height = canvas.height + gap + plots.height;
  const g = whole.getContext('2d');
  g.fillStyle = view.colours.paper; g.fillRect(0, 0, whole.width, whole.height);
  g.drawImage(canvas, 0, 0); g.drawImage(plots, 0, canvas.height + gap);
  return whole;
}

function shapes({ canvas, view }) {
  const width = canvas.clientWidth, top = canvas.clientHeight + 6, height = top + by('plots').clientHeight;
  const svg = node('svg', { width, height, viewBox: '0 0 ' + width + ' ' + height, 'font-family': 'system-ui, sans-serif', 'font-size': 11 });
  const title = node('title', {}), lanes = node('g', {}), plots = node('g', { transform: 'translate(0 ' + top + ')' });
  title.textContent = legible(document.title);
  svg.append(title, node('rect', { width, height, fill: view.colours.paper }), lanes, plots);
  const leaf = (group, name) => ({ clientWidth: width, style: {}, getContext: () => new Pen(group, width, name) });
  drawLanes(leaf(lanes, 'lanes'), view);
  drawPlots(leaf(plots, 'plots'), view);
  return new XMLSerializer().serializeToString(svg);
}

function node(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, typeof value === 'number' ? Math.round(value * 100) / 100 : value);
  return made;
}

// Removes the characters that XML forbids.
const legible = (text) => text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');

const ANCHORS = { left: 'start', center: 'middle', right: 'end' };
// Beyond this coordinate nothing is visible, and large numbers are drawn wrong.
const BEYOND = 100;

// Implements the part of a canvas context that is used here, on a group of nodes.
class Pen {
  constructor(group, width, name) {
    Object.assign(this, { group, width, name, clips: 0, path: '', area: null, dash: [], saved: [], measure: element('canvas', '').getContext('2d') });
    Object.assign(this, { fillStyle: '#000', strokeStyle: '#000', globalAlpha: 1, lineWidth: 1, textAlign: 'left', font: '' });
  }

  setTransform() { /* a leaf has no pixels to be scaled to */ }
  clearRect() { /* and nothing on it */ }
  setLineDash(dash) { this.dash = dash; }

  save() {
    const { group, fillStyle, strokeStyle, globalAlpha, lineWidth, textAlign, dash } = this;
    this.saved.push({ group, fillStyle, strokeStyle, globalAlpha, lineWidth, textAlign, dash });
  }

  restore() { Object.assign(this, this.saved.pop()); }

  add(name, attributes) {
    const made = node(name, this.globalAlpha < 1 ? { ...attributes, opacity: this.globalAlpha } : attributes);
    this.group.append(made);
    return made;
  }

  beginPath() { this.path = ''; }
  moveTo(x, y) { this.path += 'M' + x.toFixed(2) + ' ' + y.toFixed(2); }
  lineTo(x, y) { this.path += 'L' + x.toFixed(2) + ' ' + y.toFixed(2); }
  rect(x, y, width, height) { this.area = { x, y, width, height }; }
  fill() { this.add('path', { d: this.path, fill: this.fillStyle }); }
  stroke() { if (this.path) this.add('path', { d: this.path, fill: 'none', ...this.line() }); }

  line() {
    const { strokeStyle, lineWidth, dash } = this;
    return { stroke: strokeStyle, 'stroke-width': lineWidth, ...(dash.length ? { 'stroke-dasharray': dash.join(' ') } : {}) };
  }

  clip() {
    const id = this.name + this.clips++, path = node('clipPath', { id }), within = node('g', { 'clip-path': 'url(#' + id + ')' });
    path.append(node('rect', this.area));
    this.group.append(path, within);
    this.group = within;
  }

  fillRect(x, y, width, height) { this.box(x, y, width, height, { fill: this.fillStyle }); }
  strokeRect(x, y, width, height) { this.box(x, y, width, height, { fill: 'none', ...this.line() }); }

  box(left, y, width, height, look) {
    const x = Math.max(-BEYOND, left), right = Math.min(this.width + BEYOND, left + width);
    if (right > x) this.add('rect', { x, y, width: right - x, height, ...look });
  }

  measureText(text) {
    this.measure.font = this.font;
    return this.measure.measureText(text);
  }

  // Text that is too wide is drawn narrower, as on a canvas.
  fillText(text, x, y, most = Infinity) {
    if (text === '' || most <= 0) return;
    const wide = this.measureText(text).width > most ? { textLength: most, lengthAdjust: 'spacingAndGlyphs' } : {};
    this.add('text', { x, y, fill: this.fillStyle, 'text-anchor': ANCHORS[this.textAlign], ...wide }).textContent = legible(text);
  }

  // Drawn as pixels, because there are so many.
  drawImage(canvas, x, y) {
    this.add('image', { x, y, width: canvas.width, height: canvas.height, href: canvas.toDataURL(), 'image-rendering': 'pixelated' });
  }
}
