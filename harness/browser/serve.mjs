// Uses `harness serve` like a user: npm run serve -- HARNESS. Exits with 1 if a test fails.
import { spawn } from 'node:child_process';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { barriers } from './axe.mjs';
import { browse } from './page.mjs';
import { makeRun } from './run.mjs';

const harness = process.argv[2];
if (!harness) { console.error('npm run serve -- HARNESS'); process.exit(254); }

const EVIL = '<img src=x onerror="document.title=1">';
const RUNS = [
  { run: 'raft-register-partition/20261101T000000Z-1', seed: 1, validity: 'valid', ok: 190, took_ms: 3000 },
  { run: 'raft-register-partition/20261102T000000Z-2', seed: 2, validity: 'invalid', ok: 90, took_ms: 2000, unsafe: ['stale-reads'] },
  { run: 'raft-register-kill/20261103T000000Z-3', seed: 3, validity: 'unknown', ok: 290, took_ms: 1000, nemesis: 'kill', sentence: EVIL },
];

// Runs of today, because the matrix shows only the last nights.
function file(results) {
  const now = new Date().toISOString().slice(0, 10);
  const lines = RUNS.map((told, n) => {
    makeRun(path.join(results, told.run), 200, 5, told.sentence ? { text: told.sentence } : {});
    return JSON.stringify({ started: `${now}T00:00:0${n}Z`, exit: 0, system: 'raft', workload: 'register', nemesis: 'partition', nodes: 5, unsafe: [], sentence: 'told of run ' + told.seed, ...told });
  });
  fs.writeFileSync(path.join(results, 'index.jsonl'), lines.join('\n') + '\nno run\n');
}

async function served(results, use) {
  const server = spawn(harness, ['serve', '--port', '0', '--results', results], { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    const at = await new Promise((found, failed) => {
      let said = '';
      for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => { said += text; const at = /http:\S+/.exec(said); if (at) found(at[0]); });
      server.on('exit', () => failed(new Error('the server ended: ' + said)));
    });
    return await use(at);
  } finally {
    server.kill();
  }
}

const listed = (page) => page.locator('[data-run]').evaluateAll((boxes) => boxes.map((box) => Number(box.dataset.run.split('-').at(-1))));
async function becomes(page, wanted) {
  for (let waited = 0; JSON.stringify(await listed(page)) !== JSON.stringify(wanted); waited += 50) {
    if (waited > 5000) assert.deepEqual(await listed(page), wanted);
    await page.waitForTimeout(50);
  }
}

const tests = {
  async 'runs are listed, the newest first, and what is damaged is said'(page) {
    await becomes(page, [3, 2, 1]);
    assert.match(await page.textContent('main'), /1–3 of 3 runs.*1 damaged lines/);
    assert.equal(await page.locator('img').count(), 0, 'a sentence is text');
  },

  async 'what is typed, chosen or clicked picks and sorts, and a link brings it back'(page, at) {
    await page.fill('#q', 'unsafe:stale');
    await becomes(page, [2]);
    await page.fill('#q', '');
    await becomes(page, [3, 2, 1]);
    await page.click('.choices a:has-text("unknown")');
    await becomes(page, [3]);
    assert.equal(await page.inputValue('#q'), 'validity:unknown');
    await page.goBack();
    await becomes(page, [3, 2, 1]);
    await page.click('button.head:has-text("took")');
    await becomes(page, [1, 2, 3]);
    await page.click('button.head:has-text("took")');
    await becomes(page, [3, 2, 1]);
    await page.goto(at + '#q=-validity:valid&sort=operations&reverse=true');
    await page.reload();
    await becomes(page, [2, 3]);
    await page.fill('#q', 'nonsense:x');
    await page.waitForSelector('[role=alert]');
    assert.match(await page.textContent('[role=alert]'), /nonsense/);
  },

  async 'a run is told, judged again into a new file, and its files are there'(page, at, results) {
    await page.click(`a:has-text("${RUNS[0].run}")`);
    await page.waitForSelector('h2:has-text("Faults")');
    assert.match(await page.textContent('main'), /partition:leader.*confirmed/);
    await page.click('button:has-text("judge again")');
    await page.waitForSelector('text=Written to');
    assert.equal(fs.readdirSync(path.join(results, RUNS[0].run)).filter((name) => name.startsWith('recheck-')).length, 1);
    await page.click('a:has-text("history.jsonl")');
    assert.match(await page.textContent('body'), /"type":"invoke"/);
  },

  async 'two runs are compared, what differs first'(page) {
    await becomes(page, [3, 2, 1]);
    await page.check(`[data-run="${RUNS[0].run}"]`);
    await page.check(`[data-run="${RUNS[1].run}"]`);
    await page.click('#taken a');
    await page.waitForSelector('text=values differ');
    assert.equal(await page.locator('thead a').count(), 2);
    await page.click('header a:has-text("runs")');
    await page.click(`a:has-text("${RUNS[2].run}")`);
    await page.click('button:has-text("compare with")');
    await page.check(`[data-run="${RUNS[0].run}"]`);
    await page.click('#taken a');
    await page.waitForSelector('tr.differs');
  },

  async 'the matrix leads to the runs of a cell'(page) {
    await page.click('header a:has-text("matrix")');
    await page.click('[aria-label="workloads and faults"] td a:has-text("1")');
    await page.waitForSelector('[data-run]');
    assert.match(await page.inputValue('#q'), /workload:register nemesis:/);
  },

  async 'a phone needs no sideways scrolling, and every control has a name'(page, at) {
    await page.setViewportSize({ width: 360, height: 700 });
    for (const view of ['', '#matrix', '#live', '#run=' + RUNS[0].run, `#compare=${RUNS[0].run}&with=${RUNS[1].run}`]) {
      await page.goto(at + view);
      await page.waitForFunction(() => !document.getElementById('main').hasAttribute('aria-busy'));
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, view);
      const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select, a')]
        .filter((one) => !(one.getAttribute('aria-label') || one.labels?.length || one.textContent.trim())).map((one) => one.outerHTML.slice(0, 80)));
      assert.deepEqual(nameless, []);
    }
  },

  async 'axe-core finds nothing that would keep anybody out, in the light and in the dark'(page, at) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      for (const view of ['', '#matrix', '#live', '#run=' + RUNS[0].run, `#compare=${RUNS[0].run}&with=${RUNS[1].run}`]) {
        await page.goto(at + view);
        await page.reload();
        await page.waitForFunction(() => !document.getElementById('main').hasAttribute('aria-busy') && document.getElementById('main').children.length);
        assert.deepEqual(await barriers(page), [], colorScheme + ' ' + view);
      }
    }
  },
};

async function tried(browser, at, results, [name, test]) {
  const page = await browser.newPage({ viewport: { width: 1300, height: 900 } }), complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  // An error answer to a nonsense query is expected, not a fault of the page.
  page.on('console', (message) => { if (message.type() === 'error' && !/400 \(Bad Request\)/.test(message.text())) complaints.push(message.text()); });
  try {
    await page.goto(at);
    await test(page, at, results);
    assert.deepEqual(complaints, []);
    console.log('ok: ' + name);
  } catch (error) {
    console.log('FAILED: ' + name + ': ' + error.message);
    process.exitCode = 1;
  }
  await page.close();
}

const results = fs.mkdtempSync(path.join(os.tmpdir(), 'results-'));
try {
  file(results);
  await served(results, (at) => browse(async (browser) => {
    for (const test of Object.entries(tests)) await tried(browser, at, results, test);
  }));
} finally {
  fs.rmSync(results, { recursive: true });
}
