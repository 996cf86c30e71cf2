// Uses the report of an invalid run like a user: npm test -- REPORT.html [HARNESS]. Exits with 1 if a test fails.
// With the program it also generates unusual runs: hostile, empty, cut short.
import { execFileSync } from 'node:child_process';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { barriers } from './axe.mjs';
import { browse, opened } from './page.mjs';
import { makeRun } from './run.mjs';

const [file, harness] = process.argv.slice(2, 4).map((word) => path.resolve(word));
if (!file) { console.error('npm test -- REPORT.html (of a run that was convicted) [HARNESS]'); process.exit(254); }

const text = (page, id) => page.evaluate((id) => document.getElementById(id).textContent, id);
const chosen = async (page) => JSON.parse((await text(page, 'raw')).split('\n')[0]).index;
const settled = (page) => page.waitForTimeout(400);
// Returns the file that a save button produces.
async function save(page, id) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-' + id)]);
  return fs.readFileSync(await download.path());
}

// Returns the names and texts in a picture, as any XML reader finds them.
const shapes = (page, saved) => page.evaluate((saved) => {
  const made = new DOMParser().parseFromString(saved, 'image/svg+xml'), all = [...made.querySelectorAll('*')];
  return { names: all.map((one) => one.localName), texts: all.filter((one) => one.localName === 'text').map((one) => one.textContent) };
}, saved.toString());
const picture = (page, id) => page.evaluate((id) => document.getElementById(id).toDataURL(), id);

// Opens the page of a generated run for a test.
async function made(browser, size, options, use) {
  if (!harness) return 'no HARNESS was named';
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'report-'));
  try {
    makeRun(directory, size, 5, options);
    execFileSync(harness, ['report', directory], { stdio: 'ignore' });
    const page = await opened(browser, path.join(directory, 'report.html'));
    await use(page, directory);
    await page.close();
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

// A page that was changed shows its static pictures, and the expected message there.
async function changed(browser, change, said) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'report-'));
  const other = path.join(directory, 'report.html'), page = await browser.newPage();
  try {
    fs.writeFileSync(other, change(fs.readFileSync(file, 'utf8')));
    await page.goto('file://' + other);
    await page.waitForSelector('.still', { state: 'visible', timeout: 5000 });
    assert.match(await page.textContent('.still'), said);
    assert.ok(!(await page.isVisible('#explorer')));
  } finally {
    await page.close();
    fs.rmSync(directory, { recursive: true });
  }
}

const tests = {
  async 'the verdict is the first thing there, and says what is wrong'(page) {
    const badge = await page.textContent('.badge');
    assert.match(badge, /invalid/);
    const box = await page.locator('h1').boundingBox();
    assert.ok(box.y + box.height < 500, 'the sentence stands above the fold');
  },

  async 'keys lead from operation to operation, to failures and through the proof'(page) {
    await page.keyboard.press('.');
    const first = await chosen(page);
    await page.keyboard.press('.');
    assert.ok((await chosen(page)) > first, 'a full stop is the next operation');
    await page.keyboard.press(',');
    assert.equal(await chosen(page), first);
    await page.keyboard.press('n');
    assert.match(await text(page, 'drawer'), /fail|info/);
    await page.keyboard.press('g');
    await page.keyboard.type(String(first));
    await page.keyboard.press('Enter');
    assert.equal(await chosen(page), first);
    await page.keyboard.press('?');
    assert.ok(await page.isVisible('#help'));
    await page.keyboard.press('Escape');
    assert.ok(!(await page.isVisible('#help')));
  },

  async 'the proof is walked step by step, and the timeline follows'(page) {
    const steps = await page.locator('.order > li, .stuck').count();
    if (steps === 0) return 'this proof has no order';
    for (const _ of [1, 2]) await page.keyboard.press(']');
    assert.equal(await page.locator('.now').count(), 1);
    const second = await chosen(page);
    await page.keyboard.press('[');
    assert.notEqual(await chosen(page), second);
  },

  async 'a link brings back what was seen'(page, browser) {
    await page.keyboard.press('.');
    await page.selectOption('[name=outcome]', 'fail');
    await page.keyboard.press('Escape');
    await settled(page);
    const [hash, raw, status] = [await page.evaluate(() => location.hash), await text(page, 'raw'), await text(page, 'status')];
    assert.match(hash, /op=\d+.*outcome=fail/);
    const again = await opened(browser, file, { hash });
    assert.equal(await text(again, 'raw'), raw);
    assert.equal(await text(again, 'status'), status);
    await again.close();
  },

  async 'a filter hides what does not pass, and says so'(page) {
    await page.selectOption('[name=outcome]', 'ok');
    await settled(page);
    const status = await text(page, 'status');
    const [, all, passing] = /(\d+) operations .* (\d+) of them pass the filter/.exec(status) ?? assert.fail(status);
    assert.ok(Number(passing) > 0 && Number(passing) < Number(all), status);
    await page.click('button[type=reset]');
    await settled(page);
    assert.match(await text(page, 'status'), /all shown/);
  },

  async 'zoom, axis and whole run change the view and nothing else'(page) {
    const view = async () => { await settled(page); return page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get('t')); };
    await page.keyboard.press('f');
    const whole = await view();
    await page.keyboard.press('w');
    assert.notEqual(await view(), whole);
    await page.keyboard.press('t');
    await settled(page);
    assert.match(await page.evaluate(() => location.hash), /axis=order/);
    await page.keyboard.press('t');
    await page.keyboard.press('f');
    assert.equal(await view(), whole);
  },

  async 'what replicas said of themselves is told where one points'(page) {
    await page.keyboard.press('f');
    await page.hover('#lanes', { position: { x: 300, y: 30 } });
    assert.match(await text(page, 'pointed'), /at \d+\.\d+ s; n1 .*(leader|follower|candidate|no report|down|stopped).*; n2 /);
    assert.ok(await page.isVisible('#hair'));
    await page.click('#lanes', { position: { x: 300, y: 25 } });
    assert.match(await text(page, 'drawer'), /replica, at/);
    assert.match(await text(page, 'log'), /log of n1/);
  },

  async 'plots follow the window of the timeline'(page) {
    await page.keyboard.press('f');
    await settled(page);
    const whole = await picture(page, 'plots');
    await page.keyboard.press('w');
    await settled(page);
    const half = await picture(page, 'plots');
    assert.ok(half !== whole);
    await page.selectOption('[name=outcome]', 'fail');
    await settled(page);
    assert.ok((await picture(page, 'plots')) !== half, 'filters hold for plots');
    await page.click('button[type=reset]');
    await page.locator('#plots').dispatchEvent('wheel', { deltaY: 100, clientX: 600 });
    await settled(page);
    assert.ok((await picture(page, 'plots')) !== half, 'the wheel works on plots');
    await page.click('#all');
    await settled(page);
    assert.ok((await picture(page, 'plots')) === whole, 'the whole run is what it was');
  },

  async 'the log around an operation grows with the time that is asked for'(page) {
    await page.keyboard.press('.');
    const lines = async (around) => {
      await page.selectOption('#around', around);
      return (await page.locator('#log pre').allTextContents()).join('\n').split('\n').length;
    };
    assert.ok((await lines('0.1')) <= (await lines('10')));
    assert.match(await text(page, 'log'), /by \d+\.\d+ s/);
    await page.selectOption('#whose', { index: 2 });
    assert.match(await text(page, 'log'), /log of n2/);
  },

  async 'a value leads to all operations that wrote or read it'(page) {
    await page.keyboard.press('.');
    await page.click('#provenance');
    const found = await page.locator('#trail button').count();
    assert.ok(found > 0, await text(page, 'trail'));
    await page.locator('#trail button').last().click();
    assert.match(await text(page, 'raw'), /"index":\d+/);
  },

  async 'a link to a step opens the proof there'(page, browser) {
    if ((await page.locator('.order > li, .stuck').count()) === 0) return 'this proof has no order';
    const at = await opened(browser, file, { hash: '#step=1' });
    assert.equal(await at.locator('.now').count(), 1);
    await at.close();
  },

  async 'dark and light are a key away, and the printed page has the still pictures'(page) {
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await paper();
    await page.keyboard.press('c');
    assert.notEqual(await paper(), before);
    await page.keyboard.press('c');
    assert.equal(await paper(), before);
    assert.ok(!(await page.isVisible('.still')));
    await page.emulateMedia({ media: 'print' });
    assert.ok(await page.isVisible('.still') && !(await page.isVisible('#explorer')));
  },

  async 'the reader who chose dark or light finds it again'(page, browser) {
    const paper = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await paper(page);
    await page.keyboard.press('c');
    await page.reload();
    assert.notEqual(await paper(page), before);
  },

  async 'where no script may run, or the operations are damaged, the still pictures are there'(page, browser) {
    const plain = await browser.newPage({ javaScriptEnabled: false });
    await plain.goto('file://' + file);
    assert.ok(await plain.isVisible('.still') && !(await plain.isVisible('#explorer')));
    await plain.close();
    await changed(browser, (page) => page.replace(/(id="columns">)[^<]{40}/, '$1' + 'A'.repeat(40)), /Cannot unpack the operations, the static pictures follow: ./);
    await changed(browser, (page) => page.slice(0, page.lastIndexOf('<script>')), /Timeline/);
  },

  async 'the grid has every operation, and its rows have heads'(page) {
    const rows = Number(await page.getAttribute('#grid', 'aria-rowcount'));
    assert.equal(rows, Number(/^\d+/.exec(await text(page, 'status'))[0]));
    assert.equal(await page.locator('#grid [role=columnheader]').count(), 7);
    await page.evaluate(() => { document.getElementById('grid').scrollTop = 1e9; });
    await settled(page);
    assert.equal(Number(await page.locator('#rows [role=row]').last().getAttribute('aria-rowindex')), rows);
  },

  async 'a hostile run executes nothing and is shown as text'(page, browser) {
    const attack = `</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'">\u202e\u0000{{columns}}__proto__`;
    return made(browser, 40, { text: attack }, async (page) => {
      await page.keyboard.press('.');
      await page.click('#provenance');
      await page.hover('#lanes', { position: { x: 300, y: 30 } });
      await settled(page);
      assert.doesNotMatch(await page.title(), /^owned/);
      assert.equal(await page.locator('img').count(), 0);
      assert.match(await text(page, 'raw'), /document\.title/);
      const steering = await page.evaluate(() => [...document.querySelectorAll('main *')].filter((one) => [...one.childNodes].some((part) => part.nodeType === 3 && /\u202e/.test(part.data))).map((one) => one.tagName + one.id));
      assert.deepEqual(steering, [], 'nothing turns the direction of text');
      const told = await shapes(page, await save(page, 'svg'));
      assert.deepEqual(told.names.filter((name) => /script|img|foreignObject|parsererror/.test(name)), []);
      assert.ok(told.texts.some((words) => words.includes('</scr')), 'the picture has it as text: ' + told.texts.slice(0, 20).join(' | '));
      for (const key of ['1', '2', '0', 'r', 'l', 'y']) await page.keyboard.press(key);
    });
  },

  async 'a value of a megabyte is there, and cut only where there is a line for it'(page, browser) {
    return made(browser, 3, { value: 'x'.repeat(1 << 20) }, async (page) => {
      await page.keyboard.press('.');
      assert.ok((await text(page, 'raw')).length > 1 << 20);
      assert.ok((await page.locator('#rows [role=row]').first().textContent()).length < 1000);
    });
  },

  async 'a run of no operation, of one, and one that was cut short are told'(page, browser) {
    for (const size of [0, 1]) {
      const why = await made(browser, size, { interrupted: true }, async (page) => {
        assert.match(await text(page, 'status'), new RegExp('^' + size + ' operations'));
        assert.match(await page.textContent('header'), /Interrupted/);
        for (const key of ['.', ',', 'n', 'N', ']', 't', 'f', 'w', 'a', 'd', 's', 'p', 'r', 'l', 'y', '1', '0', 'g', 'Escape', '?']) await page.keyboard.press(key);
        await page.hover('#plots', { position: { x: 300, y: 30 } });
      });
      if (why) return why;
    }
  },

  async 'a run from before replicas were watched says so'(page, browser) {
    if (!harness) return 'no HARNESS was named';
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'report-'));
    makeRun(directory, 20, 5);
    fs.rmSync(path.join(directory, 'replicas.jsonl')); fs.rmSync(path.join(directory, 'logs'), { recursive: true });
    execFileSync(harness, ['report', directory], { stdio: 'ignore' });
    const old = await opened(browser, path.join(directory, 'report.html'));
    assert.match(await text(old, 'noted'), /no observations of replicas/);
    await old.keyboard.press('.');
    assert.match(await text(old, 'log'), /This page has no log of n\d/);
    await old.close();
    fs.rmSync(directory, { recursive: true });
  },

  async 'lanes are folded and unfolded by key, button and name, and a link says which'(page, browser) {
    const tall = async () => { await settled(page); return (await page.locator('#lanes').boundingBox()).height; };
    const whole = await tall(), hash = () => page.evaluate(() => location.hash);
    await page.keyboard.press('l');
    const folded = await tall();
    assert.ok(folded < whole, folded + ' is not less than ' + whole);
    assert.match(await text(page, 'status'), /folded into one lane/);
    assert.equal(await page.getAttribute('#fold-clients', 'aria-expanded'), 'false');
    await page.click('#lanes', { position: { x: 20, y: 30 } });
    assert.ok((await tall()) < folded, 'a click on the name of a replica folds them all');
    await page.click('#lanes', { position: { x: 400, y: 28 } });
    assert.match(await text(page, 'drawer'), /n1 .*n5 /s, 'the row of all replicas tells of each');
    assert.match(await hash(), /folded=/);
    const again = await opened(browser, file, { hash: await hash() });
    assert.equal((await again.locator('#lanes').boundingBox()).height, await tall());
    await again.close();
    await page.focus('#fold-replicas');
    await page.keyboard.press('Enter');
    await page.keyboard.press('l');
    assert.equal(await tall(), whole);
  },

  async 'an operation of a folded lane can still be chosen, and the proof is still seen'(page) {
    await page.keyboard.press('l');
    const { height } = await page.locator('#lanes').boundingBox();
    await page.click('#lanes', { position: { x: 600, y: height - 12 } });
    assert.match(await text(page, 'raw'), /"index":\d+/);
  },

  async 'latencies stand on a logarithmic axis or on a linear one, and a link says which'(page, browser) {
    const before = await picture(page, 'plots');
    await page.keyboard.press('y');
    await settled(page);
    const linear = await picture(page, 'plots');
    assert.ok(linear !== before);
    const again = await opened(browser, file, { hash: await page.evaluate(() => location.hash) });
    assert.ok((await picture(again, 'plots')) === linear);
    await again.close();
    await page.click('#latency');
    await settled(page);
    assert.ok((await picture(page, 'plots')) === before);
  },

  async 'a digit leaves only the operations of one key, nought all of them'(page) {
    const key = () => page.inputValue('[name=key]');
    await page.keyboard.press('1');
    const first = await key();
    assert.match(await text(page, 'status'), /of them pass the filter/);
    await page.keyboard.press('2');
    assert.notEqual(await key(), first);
    await page.keyboard.press('0');
    assert.equal(await key(), '');
    assert.match(await text(page, 'status'), /all shown/);
    const proved = await page.evaluate(() => document.querySelector('.proof h2 code')?.textContent);
    if (proved) assert.equal(JSON.stringify(first), proved, 'the key of the proof comes first');
  },

  async 'the picture is saved as pixels and as shapes, the plots as numbers'(page) {
    const saved = await save(page, 'svg');
    const told = await shapes(page, saved);
    assert.deepEqual(told.names.filter((name) => !/^(clipPath|g|image|path|rect|svg|text|title)$/.test(name)), []);
    assert.ok(told.texts.some((words) => words.includes('client 0')) && told.texts.some((words) => words.startsWith('latency')), told.texts.join(' '));
    assert.match((await save(page, 'png')).subarray(1, 4).toString(), /PNG/);
    const [heads, ...rows] = (await save(page, 'plots')).toString().trim().split('\n').map((line) => line.split(','));
    assert.deepEqual(heads.slice(0, 5), ['from_s', 'to_s', 'ok', 'fail', 'info']);
    assert.ok(heads.some((head) => head === '"n1: term"'), heads.join());
    assert.ok(rows.length > 100 && rows.every((row) => row.length === heads.length && row.slice(0, 6).every((value) => Number.isFinite(Number(value)))));
  },

  async 'the numbers of the plots add up to the operations'(page) {
    await page.keyboard.press('f');
    const rows = (await save(page, 'plots')).toString().trim().split('\n').slice(1).map((line) => line.split(',').map(Number));
    const counted = rows.reduce((sum, row) => sum + row[2] + row[3] + row[4], 0);
    assert.equal(counted, Number(/^\d+/.exec(await text(page, 'status'))[0]));
  },

  async 'what is saved is the history, line for line'(page) {
    const saved = (await save(page, 'jsonl')).toString().trim().split('\n');
    const indices = saved.map((line) => JSON.parse(line).index);
    assert.deepEqual(indices, indices.map((_, n) => n));
  },

  async 'every control has a name and can be reached by keyboard'(page) {
    const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select, canvas, [role=grid]')]
      .filter((one) => !(one.getAttribute('aria-label') || one.labels?.length || one.textContent.trim())).map((one) => one.outerHTML.slice(0, 80)));
    assert.deepEqual(nameless, []);
    await page.evaluate(() => document.activeElement?.blur());
    const reached = new Set();
    for (let n = 0; n < 60; n++) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.name || ''));
    }
    for (const id of ['lanes', 'grid', 'save-jsonl', 'outcome', 'key']) assert.ok(reached.has(id), id + ' is not reached: ' + [...reached]);
  },

  async 'axe-core finds nothing that would keep anybody out, in the light, in the dark, on a phone'(page, browser) {
    for (const [colorScheme, width] of [['light', 1280], ['dark', 1280], ['dark', 360]]) {
      const other = await opened(browser, file, { colorScheme, viewport: { width, height: 800 } });
      for (const key of ['.', '?', 'l', '1']) await other.keyboard.press(key);
      await other.click('#provenance');
      assert.deepEqual(await barriers(other), [], colorScheme + ', ' + width + ' pixels');
      await other.close();
    }
  },

  async 'nothing is fetched, and a phone needs no sideways scrolling'(page, browser) {
    const narrow = await opened(browser, file, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
    const [wide, fetched] = await narrow.evaluate(() => [document.documentElement.scrollWidth, performance.getEntriesByType('resource').length]);
    await narrow.close();
    assert.ok(wide <= 360, wide + ' pixels wide');
    assert.equal(fetched, 0);
  },
};

const failed = await browse(async (browser) => {
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    const page = await opened(browser, file);
    try {
      const why = await test(page, browser);
      console.log((why ? 'NOT RUN: ' + why + ': ' : 'ok: ') + name);
    } catch (error) {
      failed += 1;
      console.log('FAILED: ' + name + ': ' + error.message);
    }
    await page.close();
  }
  return failed;
});
process.exitCode = failed ? 1 : 0;
