// Sheets of pixels: for thousands of small rectangles, writing pixels is many times faster than asking a canvas
// for each. A sheet is drawn on a canvas in one call, and is kept from frame to frame.

const sheets = new Map();

function sheet(name, width, height) {
  const wide = Math.max(1, Math.ceil(width)), tall = Math.max(1, Math.ceil(height));
  let made = sheets.get(name);
  if (made?.wide === wide && made.tall === tall) { made.data.fill(0); return made; }
  const canvas = document.createElement('canvas');
  canvas.width = wide; canvas.height = tall;
  const g = canvas.getContext('2d'), image = g.createImageData(wide, tall);
  made = { canvas, g, image, wide, tall, data: new Uint32Array(image.data.buffer) };
  sheets.set(name, made);
  return made;
}

// Draws a rectangle on a sheet, clipped to it.
function mark({ data, wide, tall }, left, top, right, bottom, colour) {
  const from = Math.max(0, Math.round(left)), to = Math.min(wide, Math.max(from + 1, Math.round(right)));
  const last = Math.min(tall, Math.round(bottom));
  for (let y = Math.max(0, Math.round(top)); y < last; y++) {
    const row = y * wide;
    // For a few pixels a call takes longer than writing them.
    if (to - from > 8) data.fill(colour, row + from, row + to);
    else for (let x = from; x < to; x++) data[row + x] = colour;
  }
}

// Draws a dashed horizontal line two pixels tall; the ones of a number say which pixels of a period are set.
function dash({ data, wide, tall }, left, right, y, colour, period) {
  const from = Math.max(0, Math.round(left)), to = Math.min(wide, Math.round(right)), row = Math.max(0, Math.min(tall - 2, Math.round(y) - 1)) * wide;
  for (let x = from; x < to; x++) if (period[x % period.length]) data[row + x] = data[row + wide + x] = colour;
}

function lay(g, { canvas, g: own, image }, x, y) {
  own.putImageData(image, 0, 0);
  g.imageSmoothingEnabled = false;
  g.drawImage(canvas, x, y);
}

// Returns a colour as the bytes of a pixel, red first.
function pixel(colour, alpha = 255) {
  const g = document.createElement('canvas').getContext('2d');
  g.fillStyle = colour;
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(g.fillStyle.slice(at, at + 2), 16));
  return new Uint32Array(new Uint8Array([red, green, blue, alpha]).buffer)[0];
}
