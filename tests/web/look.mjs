// Looks at the pages in Chromium and says what does not hold, a line each. Its exit code is 1 then.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const { CHROMIUM, MODULES, SHOTS, INCIDENT } = process.env;
const shop = name => process.env[`SHOP_${name}`];
const require = createRequire(MODULES + '/');
const puppeteer = (await import(require.resolve('puppeteer-core'))).default;
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const faults = [];
const fault = words => { faults.push(words); console.log(`FAULT ${words}`); };
const browser = await puppeteer.launch({
  executablePath: CHROMIUM,
  // Root in a container has no other way, and only pages of this test are loaded.
  args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--force-color-profile=srgb', '--font-render-hinting=none'],
});

const PAGES = {
  overview: ['ten', '/'],
  list: ['states', '/apis'],
  api: ['ten', '/apis/checkout'],
  incidents: ['ten', '/incidents'],
  incident: ['ten', `/incidents/${INCIDENT}`],
  report: ['ten', '/reports/2026-11'],
  wall: ['ten', '/wall'],
  public: ['ten', '/public'],
};

/** A page that tells of each violation of its policy, and of each error. */
async function open({ script = true, scheme = 'light', width = 1280, height = 900 } = {}) {
  const page = await browser.newPage();
  page.on('console', message => {
    const from = message.location().url ?? '';
    // Where nothing serves live events the script goes by what it loads.
    const isWanted = message.text().includes('ERR_INTERNET_DISCONNECTED') || from.endsWith('/api/v1/events') || (from === page.url() && /status of 40[04]/.test(message.text()));
    if (['error', 'warn'].includes(message.type()) && !isWanted) fault(`${page.url()} says: ${message.text()}`);
  });
  page.on('pageerror', error => fault(`${page.url()}: ${error}`));
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.setJavaScriptEnabled(script);
  await page.setCacheEnabled(false);
  return page;
}

/** What axe has to say. A page that was loaded without script runs it afterwards. */
async function judge(page, where) {
  await page.setJavaScriptEnabled(true);
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => (await axe.run(document, {
    // The overview loads itself again where no script does; it moves nothing and asks for nothing meanwhile.
    rules: { 'meta-refresh': { enabled: false }, 'target-size': { enabled: true } },
  })).violations.map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => `${n.target} (${n.failureSummary})`).join('; ')}`));
  for (const violation of violations) fault(`${where}: ${violation}`);
}

async function everyPage() {
  for (const scheme of ['light', 'dark']) for (const width of [1280, 320]) for (const script of [true, false]) {
    const page = await open({ script, scheme, width });
    for (const [name, [of, path]] of Object.entries(PAGES)) {
      const where = `${name} ${scheme} ${width} ${script ? 'with' : 'without'} script`;
      await page.setJavaScriptEnabled(script);
      const answer = await page.goto(shop(of) + path, { waitUntil: 'load' });
      if (answer.status() !== 200) fault(`${where}: status ${answer.status()}`);
      if (script) await page.screenshot({ path: `${SHOTS}/${name}-${scheme}-${width}.png`, fullPage: true });
      await judge(page, where);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) fault(`${where}: moves ${wide} px sideways`);
    }
    await page.close();
  }
}

/** The same facts with and without script; empty and wrong pages; sight. */
async function others() {
  const page = await open();
  for (const [name, of, path] of [
    ['empty', 'none', '/'], ['not-found', 'ten', '/apis/nobody'], ['wrong', 'ten', '/apis?state=red'],
    ['thousand', '1000', '/'], ['hundred-thousand', '100000', '/'], ['thousand-list', '1000', '/apis?state=down'],
  ]) {
    await page.goto(shop(of) + path);
    await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
    await judge(page, name);
  }
  await page.goto(shop('states') + '/');
  for (const sight of ['achromatopsia', 'deuteranopia', 'protanopia', 'tritanopia']) {
    await page.emulateVisionDeficiency(sight);
    await page.screenshot({ path: `${SHOTS}/sight-${sight}.png`, fullPage: true });
  }
  await page.emulateVisionDeficiency('none');
  await page.goto(shop('states') + '/apis');
  const words = await page.evaluate(() => [...document.querySelectorAll('tbody .state')].map(state => state.lastChild.textContent.trim()));
  for (const word of ['Down', 'Not watched', 'Checking again', 'Cannot tell', 'Maintenance', 'Not probed yet', 'Up', 'Off'])
    if (!words.includes(word)) fault(`no state says ${word}: ${words}`);
  await page.close();
}

/** What script adds is no fact, and Tab reaches everything. */
async function withoutScript() {
  for (const [name, [of, path]] of Object.entries(PAGES)) {
    const told = [];
    for (const script of [true, false]) {
      const page = await open({ script });
      await page.goto(shop(of) + path, { waitUntil: 'load' });
      told.push(await page.evaluate(() => `${document.title}\n${document.querySelector('main').innerText}`));
      if (!script) await tabReachesAll(page, name);
      await page.close();
    }
    if (told[0] !== told[1]) fault(`${name} says something else without script:\n${told[0]}\n---\n${told[1]}`);
  }
}

/** Figures of the month as they stand on paper, which is A4 and black on white, are those of the CSV. */
async function report() {
  const page = await open();
  await page.goto(shop('ten') + '/reports/2026-11');
  const link = await page.evaluate(() => document.querySelector('a[href*=".csv"]').href);
  const lines = (await (await fetch(link)).text()).trimEnd().split('\r\n').map(line => line.split(','));
  const span = seconds => {
    const units = [['d', Math.floor(seconds / 86400)], ['h', Math.floor(seconds / 3600) % 24], ['min', Math.floor(seconds / 60) % 60], ['s', seconds % 60]];
    const first = units.findIndex(([, count]) => count > 0);
    return first < 0 ? '–' : units.slice(first, first + 2).filter(([, count]) => count > 0).map(([unit, count]) => `${count} ${unit}`).join(' ');
  };
  if (lines[0].join() !== 'api_id,name,uptime,coverage,down_seconds,incidents,p95_ms') fault(`the CSV has ${lines[0]}`);
  const wanted = lines.slice(1).map(([, name, uptime, coverage, down, incidents, p95]) => [name, uptime, coverage, span(+down), incidents, `${p95} ms`].join(' | '));
  await page.emulateMediaType('print');
  const shown = await page.evaluate(() => [...document.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.innerText.trim()).join(' | ')));
  if (shown.length === 0 || shown.join('\n') !== wanted.join('\n')) fault(`the report shows\n${shown.join('\n')}\nand the CSV\n${wanted.join('\n')}`);
  if (!shown.some(row => /99\.\d+ %.*min/.test(row))) fault(`nothing was down in the month: ${shown}`);
  const coloured = await page.evaluate(() => [...document.querySelectorAll('body, body *')].filter(e => e.checkVisibility()).flatMap(e => {
    const style = getComputedStyle(e);
    return ['color', 'backgroundColor', 'borderBottomColor', 'fill'].map(what => style[what]);
  }).filter(colour => { const [r, g, b] = (colour.match(/\d+/g) ?? [0, 0, 0]); return r !== g || g !== b; }));
  if (coloured.length > 0) fault(`paper has colours: ${[...new Set(coloured)]}`);
  await page.screenshot({ path: `${SHOTS}/report-print.png`, fullPage: true });
  const pdf = Buffer.from(await page.pdf({ path: `${SHOTS}/report.pdf`, preferCSSPageSize: true })).toString('latin1');
  const [, width, height] = pdf.match(/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/) ?? [];
  if (Math.abs(width - 595) > 1 || Math.abs(height - 842) > 1) fault(`the paper is ${width} by ${height} points, and no A4`);
  await page.close();
}

async function keys() {
  const page = await open();
  await page.goto(shop('ten') + '/');
  const at = () => page.evaluate(() => document.activeElement.getAttribute('href') ?? document.activeElement.id);
  const press = async (key, wanted) => {
    await page.keyboard.press(key);
    const got = await at();
    if (got !== wanted) fault(`${key} leads to ${got}, not to ${wanted}`);
  };
  await press('j', '/apis/checkout');
  await press('j', '/apis/payments');
  await press('k', '/apis/checkout');
  await press('/', 'q');
  await page.keyboard.press('Tab');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('?');
  if (!await page.evaluate(() => document.getElementById('keys')?.open)) fault('? shows no keys');
  await judge(page, 'keys');
  await page.keyboard.press('Escape');
  if (await page.evaluate(() => document.getElementById('keys').open)) fault('Escape leaves the keys open');
  await press('j', '/apis/checkout');
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  if (!page.url().endsWith('/apis/checkout')) fault(`Enter leads to ${page.url()}`);
  await page.close();
}

/** Tab alone reaches each link and each field. */
async function tabReachesAll(page, where) {
  const all = await page.evaluate(() => document.querySelectorAll('a[href], input, select, button, summary').length);
  await page.evaluate(() => { document.activeElement.blur(); window.seen = new Set(); });
  for (let step = 0; step < all + 5; step++) {
    await page.keyboard.press('Tab');
    await page.evaluate(() => window.seen.add(document.activeElement));
  }
  const reached = await page.evaluate(() => [...document.querySelectorAll('a[href], input, select, button, summary')].filter(e => window.seen.has(e)).length);
  if (reached !== all) fault(`${where}: Tab reaches ${reached} of ${all}`);
}

/** An open page follows what happens, and says that it is old when nothing comes any more. */
async function live() {
  const page = await open();
  await page.goto(shop('live') + '/');
  await page.evaluate(() => { window.same = true; });
  const first = await page.title();
  await page.waitForFunction(title => document.title !== title, { timeout: 120_000, polling: 500 }, first);
  if (!await page.evaluate(() => window.same)) fault('the page was loaded anew to follow');
  await page.setOfflineMode(true);
  await page.waitForFunction(() => document.body.classList.contains('stale') && /does not answer/.test(document.getElementById('age').textContent), { timeout: 120_000, polling: 500 });
  await page.screenshot({ path: `${SHOTS}/stale.png`, fullPage: true });
  await page.close();
}

/** The process that serves it is stopped: its connections stay, and nothing comes any more. */
async function frozen() {
  const page = await open();
  await page.goto(shop('frozen') + '/');
  const age = () => page.evaluate(() => document.getElementById('age').textContent);
  if (await age() !== '') fault(`a page that was just made says ${await age()}`);
  process.kill(+process.env.FROZEN, 'SIGSTOP');
  const stopped = Date.now();
  await page.waitForFunction(() => /^This page is \d+ s old/.test(document.getElementById('age').textContent), { timeout: 120_000, polling: 200 });
  const seconds = (Date.now() - stopped) / 1000;
  console.log(`a page of a process that is stopped says its age after ${seconds.toFixed(1)} s`);
  if (seconds > 30) fault(`an open page said its age only ${seconds} s after the process was stopped`);
  process.kill(+process.env.FROZEN, 'SIGCONT');
  await page.waitForFunction(() => document.getElementById('age').textContent === '' && !document.body.classList.contains('stale'), { timeout: 120_000, polling: 200 });
  await page.close();
}

/** First contentful paint, median of 20, and how large the page is. */
async function paint() {
  for (const count of ['ten', '1000', '10000', '100000']) {
    const times = [], served = [];
    let bytes = 0;
    for (let round = 0; round < 20; round++) {
      const page = await open();
      const answer = await page.goto(shop(count) + '/', { waitUntil: 'load' });
      bytes = (await answer.buffer()).length;
      times.push(await page.evaluate(async () => {
        for (;;) {
          const [paint] = performance.getEntriesByName('first-contentful-paint');
          if (paint) return paint.startTime;
          await new Promise(requestAnimationFrame);
        }
      }));
      served.push(await page.evaluate(() => { const [all] = performance.getEntriesByType('navigation'); return all.responseStart - all.requestStart; }));
      await page.close();
    }
    for (const all of [times, served]) all.sort((a, b) => a - b);
    const told = all => `${all[10].toFixed(0)} ms (median of 20; least ${all[0].toFixed(0)}, most ${all[19].toFixed(0)})`;
    console.log(`${count} APIs: first contentful paint ${told(times)}, the answer begins after ${told(served)}, ${bytes} bytes`);
    if (bytes >= 100_000) fault(`the first screen of ${count} has ${bytes} bytes`);
  }
}

async function picture() {
  const page = await open({ width: 1100, height: 830 });
  await page.goto(shop('ten') + '/');
  await page.screenshot({ path: `${SHOTS}/readme.png` });
  await page.close();
}

const began = Date.now();
for (const part of [everyPage, others, withoutScript, report, keys, live, frozen, paint, picture]) {
  try {
    await part();
  } catch (error) {
    fault(`${part.name}: ${error.stack}`);
  }
  console.log(`${part.name}: done after ${((Date.now() - began) / 1000).toFixed(0)} s`);
}
await browser.close();
console.log(faults.length === 0 ? 'all holds' : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
