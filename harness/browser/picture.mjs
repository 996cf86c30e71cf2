// Photographs reports: npm run picture -- RUN FILE.png [light|dark] [WIDTHxHEIGHT] [#HASH]
import path from 'node:path';
import { browse, opened } from './page.mjs';

const [run, file, scheme = 'light', size = '1080x1180', hash = ''] = process.argv.slice(2);
if (!file) { console.error('npm run picture -- RUN FILE.png [light|dark] [WIDTHxHEIGHT] [#HASH]'); process.exit(254); }
const [width, height] = size.split('x').map(Number);
await browse(async (browser) => {
  const page = await opened(browser, path.resolve(run, 'report.html'), { viewport: { width, height }, colorScheme: scheme, hash });
  await page.waitForTimeout(300);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) throw new Error(`the page is ${wide} pixels wide in a window of ${width}`);
  await page.screenshot({ path: path.resolve(file) });
});
