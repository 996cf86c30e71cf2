// Opens pages in Debian's Chromium, from disk.
import { chromium } from 'playwright-core';

export async function browse(use) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  try { return await use(browser); } finally { await browser.close(); }
}

// Returns the page when its script has finished. Every complaint of the page is an error here.
export async function opened(browser, path, { hash = '', ...options } = {}) {
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 }, ...options });
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  await page.goto('file://' + path + hash);
  for (let waited = 0; !(await page.evaluate(() => document.body.dataset.ready)); waited += 20) {
    if (waited > 60000) throw new Error(path + ' is not ready after a minute: ' + complaints.join('; '));
    await page.waitForTimeout(20);
  }
  if (complaints.length) throw new Error(path + ': ' + complaints.join('; '));
  return page;
}
