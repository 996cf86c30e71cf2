// Draws every operation of the run on a canvas: a lane per client, the worst outcome wins where many share a pixel.
// Text of the run is only ever shown through textContent.
'use strict';
(async () => {
  const by = (id) => document.getElementById(id);
  const room = by('explorer'), canvas = by('lanes'), status = by('status'), drawer = by('drawer');
  const NAMES = ['info', 'ok', 'fail', 'info'], RANK = [3, 1, 2, 3];
  room.hidden = false;

  // Data: see report/columns.rs.
  const text = by('columns').textContent;
  const packed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let at = 0;
  const take = () => {
    let number = 0, scale = 1, byte;
    do { byte = bytes[at++]; number += (byte & 127) * scale; scale *= 128; } while (byte > 127);
    return number;
  };
  const signed = (n) => (n % 2 ? -(n + 1) / 2 : n / 2);
  const raw = [];
  for (let column = 0; column < 11; column++) {
    const length = take(), end = at + length;
    let rows = 0;
    for (let i = at; i < end; i++) if (bytes[i] < 128) rows++;
    const numbers = new Float64Array(rows);
    for (let i = 0; i < rows; i++) numbers[i] = take();
    raw.push(numbers);
  }
  const lines = [at];
  for (let i = at; i < bytes.length; i++) if (bytes[i] === 10) lines.push(i + 1);
  const word = (n) => (n ? new TextDecoder().decode(bytes.subarray(lines[n - 1], lines[n] - 1)) : null);
  const count = raw[0].length, clients = Math.max(1, Number(room.dataset.clients));
  const start = new Float64Array(count), end = new Float64Array(count), index = new Float64Array(count);
  const lanes = [];
  let last = 1, time = 0, place = 0;
  for (let i = 0; i < count; i++) {
    start[i] = time += signed(raw[0][i]);
    index[i] = place += signed(raw[1][i]);
    end[i] = raw[5][i] ? time + signed(raw[2][i]) : Infinity;
    last = Math.max(last, time, raw[5][i] ? end[i] : 0);
    (lanes[raw[4][i] % clients] ??= []).push(i);
  }
  for (let i = 0; i < count; i++) if (end[i] === Infinity) end[i] = last;
  const rows = lanes.filter(Boolean);
  // From here on something in the lane may still happen.
  const openSince = rows.map((lane) => lane.reduce((since, i) => (RANK[raw[5][i]] === 3 ? Math.min(since, end[i]) : since), Infinity));

  // Level of detail: per lane halves of halves of the run, each with its worst outcome.
  const most = rows.reduce((most, lane) => Math.max(most, lane.length), 1);
  const base = 2 ** Math.min(18, Math.max(10, Math.ceil(Math.log2(most * 2))));
  const pyramids = rows.map((lane) => {
    const levels = [new Uint8Array(base)];
    for (const i of lane) {
      const rank = RANK[raw[5][i]], to = Math.min(base - 1, Math.floor((end[i] / last) * base));
      for (let b = Math.min(base - 1, Math.floor((start[i] / last) * base)); b <= to; b++) levels[0][b] = Math.max(levels[0][b], rank);
    }
    while (levels.at(-1).length > 1) {
      const below = levels.at(-1), above = new Uint8Array(below.length / 2);
      for (let b = 0; b < above.length; b++) above[b] = Math.max(below[2 * b], below[2 * b + 1]);
      levels.push(above);
    }
    return levels;
  });

  // The canvas.
  const ROW = 16, HEAD = 20;
  let from = 0, to = last, chosen = -1, width = 1, waiting = false;
  const colour = (name) => getComputedStyle(room).getPropertyValue(name).trim();
  const x = (t) => ((t - from) / (to - from)) * width;
  const first = (lane, t) => {
    let low = 0, high = lane.length;
    while (low < high) { const mid = (low + high) >> 1; if (start[lane[mid]] < t) low = mid + 1; else high = mid; }
    return Math.max(0, low - 1);
  };
  const bar = (g, rank, left, right, y) => {
    const tall = rank === 2 ? 6 : 11;
    g.fillRect(left, y + 13 - tall, Math.max(1, right - left), tall);
  };
  function draw() {
    waiting = false;
    const scale = devicePixelRatio || 1, height = HEAD + rows.length * ROW;
    width = canvas.clientWidth || 1;
    canvas.width = width * scale; canvas.height = height * scale; canvas.style.height = height + 'px';
    const g = canvas.getContext('2d'), colours = ['', colour('--ok'), colour('--fail'), colour('--info')];
    g.scale(scale, scale);
    g.fillStyle = colour('--soft'); g.font = '11px system-ui, sans-serif';
    for (let tick = 0; tick <= 4; tick++) {
      const t = from + ((to - from) * tick) / 4, text = (t / 1e9).toFixed(to - from < 4e7 ? 6 : 3) + ' s';
      g.textAlign = tick === 0 ? 'left' : tick === 4 ? 'right' : 'center';
      g.fillText(text, (width * tick) / 4, 12);
    }
    rows.forEach((lane, row) => {
      const y = HEAD + row * ROW, begin = first(lane, from), stop = first(lane, to) + 1;
      if (openSince[row] < to) {
        g.fillStyle = colours[3];
        for (let px = Math.max(0, x(openSince[row])); px < width; px += 6) g.fillRect(px, y + 13, 3, 1);
      }
      if (stop - begin <= 400) {
        for (let k = begin; k < stop && k < lane.length; k++) {
          const i = lane[k], rank = RANK[raw[5][i]];
          if (start[i] > to || end[i] < from) continue;
          g.fillStyle = colours[rank];
          bar(g, rank, x(start[i]), x(end[i]), y);
          if (i === chosen) { g.strokeStyle = colour('--ink'); g.lineWidth = 2; g.strokeRect(x(start[i]), y + 1, Math.max(2, x(end[i]) - x(start[i])), 13); }
        }
        return;
      }
      const perPixel = ((to - from) / last) * base / width, level = Math.max(0, Math.min(pyramids[row].length - 1, Math.floor(Math.log2(perPixel))));
      const cells = pyramids[row][level], cell = (px) => Math.floor(((from + ((to - from) * px) / width) / last) * cells.length);
      for (let px = 0; px < width; px++) {
        let rank = 0;
        for (let c = Math.max(0, cell(px)); c <= Math.min(cells.length - 1, cell(px + 1)); c++) rank = Math.max(rank, cells[c]);
        if (rank) { g.fillStyle = colours[rank]; bar(g, rank, px, px + 1, y); }
      }
    });
  }
  const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };
  function show(a, b) {
    const span = Math.min(last, Math.max(1000, b - a));
    from = Math.min(Math.max(0, a), last - span); to = from + span;
    redraw(); link();
  }
  // Browsers refuse addresses that change at every frame.
  let later = 0;
  const link = () => { clearTimeout(later); later = setTimeout(address, 200); };
  const address = () => {
    const op = chosen < 0 ? '' : 'op=' + index[chosen] + '&';
    try { history.replaceState(null, '', '#' + op + 't=' + from + '-' + to); } catch { /* a sandbox may forbid it */ }
  };
  const zoom = (factor, centre) => show(centre - (centre - from) * factor, centre + (to - centre) * factor);

  // What one operation was.
  const plain = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => '\\u{' + c.charCodeAt(0).toString(16) + '}');
  function open(i) {
    chosen = i;
    drawer.replaceChildren();
    const done = raw[5][i] !== 0, told = (n) => plain(word(n) ?? 'none');
    const facts = [['operation', index[i] + (done ? '' : ', never completed')], ['outcome', NAMES[raw[5][i]]], ['process', raw[4][i]],
      ['function', told(raw[6][i])], ['replica', told(raw[7][i])], ['asked', told(raw[8][i])], ['told', told(raw[9][i])], ['error', told(raw[10][i])],
      ['from', (start[i] / 1e9).toFixed(6) + ' s'], ['took', done ? ((end[i] - start[i]) / 1e6).toFixed(3) + ' ms' : 'nobody knows']];
    for (const [term, text] of facts) {
      const box = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
      dt.textContent = term; dd.textContent = text; box.append(dt, dd); drawer.append(box);
    }
    if (start[i] < from || start[i] > to) show(start[i] - (to - from) / 2, start[i] + (to - from) / 2); else { redraw(); link(); }
  }
  const bad = (way) => {
    for (let i = chosen + way; i >= 0 && i < count; i += way) if (RANK[raw[5][i]] > 1) return open(i);
    status.textContent = way > 0 ? 'No later operation failed or is unknown.' : 'No earlier operation failed or is unknown.';
  };
  const keys = {
    w: () => zoom(0.5, (from + to) / 2), s: () => zoom(2, (from + to) / 2), f: () => show(0, last),
    a: () => show(from - (to - from) / 4, to - (to - from) / 4), d: () => show(from + (to - from) / 4, to + (to - from) / 4),
    ',': () => chosen > 0 && open(chosen - 1), '.': () => chosen + 1 < count && open(chosen + 1), n: () => bad(1), N: () => bad(-1),
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  const moment = (event) => from + ((event.clientX - canvas.getBoundingClientRect().left) / width) * (to - from);
  canvas.addEventListener('wheel', (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 0.8 : 1.25, moment(event)); }, { passive: false });
  let grip = null;
  canvas.addEventListener('pointerdown', (event) => { grip = { x: event.clientX, from, to, moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener('pointermove', (event) => {
    if (!grip || Math.abs(event.clientX - grip.x) < 3) return;
    grip.moved = true;
    const by = ((event.clientX - grip.x) / width) * (grip.to - grip.from);
    show(grip.from - by, grip.to - by);
  });
  canvas.addEventListener('pointerup', (event) => {
    if (grip && !grip.moved) {
      const lane = rows[Math.floor((event.clientY - canvas.getBoundingClientRect().top - HEAD) / ROW)], t = moment(event);
      if (lane) open(lane[first(lane, t)]);
    }
    grip = null;
  });
  addEventListener('resize', redraw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);

  const asked = new URLSearchParams(location.hash.slice(1)), window0 = /^([\d.e+]+)-([\d.e+]+)$/.exec(asked.get('t') ?? '');
  if (window0 && Number(window0[2]) > Number(window0[1])) { from = Number(window0[1]); to = Math.min(last, Number(window0[2])); }
  const op = asked.has('op') ? index.indexOf(Number(asked.get('op'))) : -1;
  status.textContent = count + ' operations on ' + rows.length + ' lanes, all of them here.' + (asked.has('op') && op < 0 ? ' The operation of this link is not in this run.' : '');
  if (op >= 0) open(op);
  draw();
  document.body.dataset.ready = 'yes';
})().catch((error) => {
  const status = document.getElementById('status');
  status.textContent = 'The operations cannot be drawn: ' + error.message;
});
