// Uses the report of a convicted run as a reader does: npm test -- REPORT.html. Exits with 1 where something is not as it should be.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { browse, opened } from './page.mjs';

const file = process.argv[2] && path.resolve(process.argv[2]);
if (!file) { console.error('npm test -- REPORT.html (of a run that was convicted)'); process.exit(254); }

const text = (page, id) => page.evaluate((id) => document.getElementById(id).textContent, id);
const chosen = async (page) => JSON.parse((await text(page, 'raw')).split('\n')[0]).index;
const settled = (page) => page.waitForTimeout(400);

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
    assert.match(await text(page, 'status'), /all of them here/);
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

  async 'what is saved is the history, line for line'(page) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-jsonl')]);
    const saved = fs.readFileSync(await download.path(), 'utf8').trim().split('\n');
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
