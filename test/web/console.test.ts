import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Endpoints } from '../../services/lab/endpoints.ts';
import { ConsolePage, launchChromium } from '../support/console-page.ts';
import { type RunningLab, startLab } from '../support/lab.ts';
import { query } from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import { phoneCalls } from './phone-calls.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS = [
  'Overview',
  'Replication',
  'Failovers',
  'Alerts',
  'Terminals',
  'Look up',
  'Phone',
  'Bans and log',
];

let lab: RunningLab;
let browser: Browser;
let endpoints: Endpoints;
beforeAll(async () => {
  lab = await startLab();
  endpoints = await lab.endpoints();
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await lab?.remove();
});

async function rest(site: string, method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${endpoints.sites[site]?.api}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${endpoints.adminToken}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
}

test('a wrong token is refused, a good one stays in the tab, out of every address, until the log-out', async () => {
  const opened = await ConsolePage.open(browser, endpoints);
  const { page } = opened;
  const requested: string[] = [];
  page.on('request', (request) => void requested.push(request.url()));
  await opened.logIn('a-token-of-nobody-at-all');
  await page.getByRole('alert').getByText('The api does not know this token.').waitFor();
  await opened.logIn(endpoints.adminToken);
  await page.getByText('All is well').waitFor();
  await page.reload();
  await page.getByText('All is well').waitFor();
  expect(requested.filter((url) => url.includes(endpoints.adminToken))).toEqual([]);
  expect(page.url()).not.toContain(endpoints.adminToken);
  expect(await page.evaluate('localStorage.length + document.cookie.length')).toBe(0);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Token').waitFor();
  expect(await page.evaluate('sessionStorage.length')).toBe(0);
  await opened.close();
});

test('the link that the lab prints logs in once, and leaves no code in the address', async () => {
  expect(lab.output()).toContain(endpoints.console);
  const opened = await ConsolePage.at(browser, endpoints.console);
  await opened.page.getByRole('heading', { name: 'Overview' }).waitFor();
  expect(opened.page.url()).not.toContain('login');
  await opened.close();
  const late = await ConsolePage.at(browser, endpoints.console);
  await late.page.getByText('This link was used already').waitFor();
  expect(await late.page.evaluate('sessionStorage.length')).toBe(0);
  await late.close();
});

test('C4 of a terminal known at both sites the newest entry is marked, with why, and the other says how much older it is', async () => {
  const at = (secondsAgo: number): string =>
    new Date(Date.now() - secondsAgo * 1000).toISOString().replace('Z', '000Z');
  const call = { event: 'dialed', from: '1003' };
  await rest('b', 'POST', '/v1/calls', { ...call, callId: 'older', to: '2001', at: at(90) });
  await rest('a', 'POST', '/v1/calls', { ...call, callId: 'newer', to: '2002', at: at(30) });
  await waitFor(
    async () => {
      const answer = await rest('a', 'GET', '/v1/terminals/3/lastcalls');
      const { tables } = (await answer.json()) as { tables: Record<string, object | null> };
      return tables.a && tables.b;
    },
    { what: 'both tables' },
  );
  const opened = await ConsolePage.loggedIn(browser, endpoints);
  await opened.show('Terminals');
  await opened.page.getByLabel('Number, username or address of record').fill('1003');
  await opened.page.getByRole('button', { name: 'Find' }).click();
  await opened.page.getByRole('main').getByRole('link', { name: '1003' }).click();
  const row = (site: string) => opened.page.getByRole('row', { name: `site ${site}'s table` });
  await row('a').getByText('2002').waitFor();
  await row('a').getByText('wins: the newest date').waitFor();
  await row('b').getByText('2001').waitFor();
  await row('b').getByText('older by 1 min').waitFor();
  await opened.page.getByRole('region', { name: '*52' }).getByText('2002').waitFor();

  await opened.page.getByRole('button', { name: 'Forget all last calls' }).click();
  await opened.page.getByRole('dialog').getByRole('button', { name: 'Forget all last calls' }).click();
  await opened.page.getByRole('region', { name: '*52' }).getByText('Nobody.').waitFor();
  expect(opened.faults).toEqual([]);
  await opened.close();
});

test('a failover is watched step by step until it is done', async () => {
  const opened = await ConsolePage.loggedIn(browser, endpoints);
  await opened.show('Failovers');
  await opened.page.getByLabel('Site whose primary changed').selectOption('b');
  await opened.page.getByLabel('Reason').fill('a drill');
  await opened.page.getByRole('button', { name: 'Heal after a failover' }).click();
  const report = opened.page.getByRole('region', { name: 'Failover of site b' });
  await report.getByText('check', { exact: true }).waitFor();
  await report.getByRole('heading').getByText('done').waitFor({ timeout: 90_000 });
  expect(await report.getByText('compare', { exact: true }).count()).toBe(1);
  await report.getByText('a drill, by console').waitFor();
  await opened.show('Overview');
  await opened.page.getByRole('region', { name: 'Last failover' }).getByText('done').waitFor();
  expect(opened.faults).toEqual([]);
  await opened.close();
});

/** Counts the copies that b has made of a. */
async function slotGeneration(): Promise<number> {
  const [row] = await query(
    endpoints.sites['b']?.postgres ?? '',
    `SELECT generation::int FROM lastcall.replication_position WHERE peer = 'a'`,
  );
  return Number(row?.['generation'] ?? 0);
}

test('a direction is paused, resumed and copied anew, and each state is seen as it comes', async () => {
  const opened = await ConsolePage.loggedIn(browser, endpoints);
  await opened.show('Replication');
  const card = opened.page.getByRole('region', { name: 'From a to b' });
  const confirm = (action: string) =>
    opened.page.getByRole('dialog').getByRole('button', { name: action }).click();
  await card.getByRole('button', { name: 'Pause a to b' }).click();
  await opened.page.getByRole('dialog').waitFor();
  await opened.page.keyboard.press('Escape');
  await opened.page.getByRole('dialog').waitFor({ state: 'detached' });
  await card.getByText('streaming').waitFor();
  await card.getByRole('button', { name: 'Pause a to b' }).click();
  await confirm('Pause');
  await card.getByText('paused', { exact: true }).waitFor();
  await card.getByRole('button', { name: 'Resume a to b' }).click();
  await card.getByText('streaming').waitFor();
  const before = await slotGeneration();
  await card.getByRole('button', { name: 'Copy anew a to b' }).click();
  await confirm('Copy anew');
  // The copying itself may be over between two looks of the page; the slot's generation says that it was.
  await waitFor(async () => (await slotGeneration()) > before, {
    what: 'the new copy',
    deadlineMs: 60_000,
  });
  await card.getByText('streaming').waitFor({ timeout: 90_000 });
  await opened.page.locator('.chart canvas').first().waitFor();
  expect(opened.faults).toEqual([]);
  await opened.close();
});

test('a database that dies is said within seconds, and that it is back as well; so says the coordinator, with begin and end', async () => {
  const opened = await ConsolePage.loggedIn(browser, endpoints, { site: 'a' });
  await opened.page.getByText('All is well').waitFor();
  expect((await lab.command('--halt', 'b.postgres')).status).toBe(0);
  await opened.page.getByText('Something is broken').waitFor();
  await opened.page.getByRole('region', { name: 'Site b' }).getByText('out of reach').waitFor();
  await opened.show('Alerts');
  const alerts = (part: string) => opened.page.getByRole('region', { name: part });
  await alerts('Open').getByText('No database of site b takes writes').waitFor();
  await alerts('Reported').getByText('begun').first().waitFor();
  expect((await lab.command('--revive', 'b.postgres')).status).toBe(0);
  await alerts('Open').getByText('no trouble lasts').waitFor({ timeout: 90_000 });
  await alerts('Reported').getByText('The database of site b takes writes again').waitFor();
  await opened.show('Overview');
  await opened.page.getByText('All is well').waitFor({ timeout: 90_000 });
  await opened.close();
});

const ASKED = ['**/v1/replication', '**/v1/failovers?*', '**/v1/alerts', '**/readyz'];

test.each([
  ['the events of the api alone', ASKED],
  ['asking, where no stream can be had', ['**/v1/events']],
])(
  'the page shows what happens by %s',
  async (_how, unreachable) => {
    const opened = await ConsolePage.open(browser, endpoints);
    for (const address of unreachable) await opened.page.route(address, (route) => route.abort());
    await opened.logIn(endpoints.adminToken);
    await opened.page.getByText('All is well').waitFor();
    await opened.show('Replication');
    const card = opened.page.getByRole('region', { name: 'From b to a' });
    expect((await rest('a', 'POST', '/v1/replication/b/a/pause')).status).toBe(202);
    await card.getByText('paused', { exact: true }).waitFor();
    await rest('a', 'POST', '/v1/replication/b/a/resume');
    await card.getByText('streaming').waitFor();
    await opened.show('Alerts');
    await opened.page.getByRole('heading', { name: 'Reported lately' }).waitFor();
    expect(opened.faults).toEqual([]);
    await opened.close();
  },
  90_000,
);

test('a terminal that is disabled elsewhere is seen so in a page that shows it', async () => {
  await rest('a', 'POST', '/v1/terminals', { terminalId: 901, number: '1901', password: 'of-no-importance' });
  const opened = await ConsolePage.loggedIn(browser, endpoints);
  await opened.show('Terminals');
  const line = opened.page.getByRole('listitem').filter({ hasText: '1901' });
  await line.waitFor();
  await rest('b', 'PATCH', '/v1/terminals/901', { enabled: false });
  await line.getByText('disabled').waitFor();
  await opened.close();
});

test('what comes from outside is text: a username of markup is shown and does nothing', async () => {
  const username = '<img/src=x/onerror=alert(1)>';
  const made = await rest('a', 'POST', '/v1/terminals', {
    terminalId: 900,
    number: '1900',
    username,
    password: 'of-no-importance',
    aor: 'sip:1900@lastcall.test',
  });
  expect(made.status).toBe(201);
  const opened = await ConsolePage.loggedIn(browser, endpoints);
  await opened.page.goto(`${endpoints.sites.a?.api}/console/#/terminals/900`);
  await opened.page.getByText(`username ${username}`).waitFor();
  expect(opened.faults).toEqual([]);
  await opened.close();
});

test('a token that may only read sees everything and changes nothing', async () => {
  const { tokens } = JSON.parse(readFileSync(`${lab.dataDir}/secrets.json`, 'utf8')) as {
    tokens: { read: string };
  };
  const opened = await ConsolePage.open(browser, endpoints);
  await opened.logIn(tokens.read);
  await opened.show('Replication');
  expect(await opened.page.getByRole('button', { name: 'Pause a to b' }).isDisabled()).toBe(true);
  await opened.show('Failovers');
  expect(await opened.page.getByRole('button', { name: 'Heal after a failover' }).isDisabled()).toBe(true);
  await opened.show('Phone');
  expect(await opened.page.getByRole('button', { name: /^Connect \d/ }).count()).toBe(0);
  await opened.close();
});

test('the focus moves with the heading, before anybody can press a key in between', async () => {
  const opened = await ConsolePage.loggedIn(browser, endpoints);
  const focused = await opened.page.evaluate(`new Promise((resolve) => {
    new MutationObserver(() => resolve(document.activeElement?.tagName)).observe(
      document.querySelector('h1'), { characterData: true, childList: true, subtree: true });
    document.querySelector('a[href="#/lookup"]').focus();
    location.hash = '#/lookup';
  })`);
  expect(focused).toBe('H1');
  await opened.close();
});

test('every view is reached and used by the keyboard alone', async () => {
  const opened = await ConsolePage.loggedIn(browser, endpoints);
  const { page } = opened;
  for (const view of VIEWS.slice(1)) {
    await page.getByRole('navigation').getByRole('link', { name: view, exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: view, level: 1 }).waitFor();
    await waitFor(() => page.evaluate("document.activeElement?.tagName === 'H1'"), {
      what: 'the focus on the heading',
    });
  }
  await page.getByRole('navigation').getByRole('link', { name: 'Look up' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Look up', level: 1 }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.type('1004');
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Answer' }).getByText('Nobody.').waitFor();
  expect(opened.faults).toEqual([]);
  await opened.close();
});

test.each([
  ['light, on a desk', { colorScheme: 'light', viewport: { width: 1200, height: 800 } }],
  ['dark, in a hand', { colorScheme: 'dark', viewport: { width: 360, height: 740 } }],
] as const)(
  'axe finds no accessibility fault in any view: %s',
  async (_name, options) => {
    const faults: unknown[] = [];
    const opened = await ConsolePage.open(browser, endpoints, options);
    const inspect = async (view: string): Promise<void> => {
      await opened.page.evaluate(AXE);
      const found = (await opened.page.evaluate('axe.run().then((result) => result.violations)')) as {
        id: string;
        nodes: { html: string }[];
      }[];
      faults.push(...found.map(({ id, nodes }) => `${view}: ${id} ${nodes[0]?.html}`));
      const wider = await opened.page.evaluate(
        'document.documentElement.scrollWidth > document.documentElement.clientWidth',
      );
      if (wider) faults.push(`${view} is wider than the screen`);
    };
    await inspect('log-in');
    await opened.logIn(endpoints.adminToken);
    for (const view of VIEWS) {
      await opened.show(view);
      if (view === 'Phone') await opened.phone('1005');
      await waitFor(async () => (await opened.page.locator('.waiting').count()) === 0, { what: 'the view' });
      await inspect(view);
    }
    await opened.page.goto(`${endpoints.sites.a?.api}/console/#/terminals/1`);
    await opened.page.getByRole('table').waitFor();
    await inspect('a terminal');
    expect(faults).toEqual([]);
    expect(opened.faults).toEqual([]);
    await opened.close();
  },
  90_000,
);

test('the page is asked for once: unchanged it is 304, and each answer holds its protection', async () => {
  const page = `${endpoints.sites.a?.api}/console/`;
  const first = await fetch(page);
  expect(first.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(first.headers.get('x-content-type-options')).toBe('nosniff');
  const again = await fetch(page, { headers: { 'if-none-match': first.headers.get('etag') ?? '' } });
  expect(again.status).toBe(304);
});

test('the REST API has a page of its own: every address with its example, without a token, without an accessibility fault', async () => {
  const opened = await ConsolePage.at(browser, `${endpoints.sites.a?.api}/console/reference.html`, {
    viewport: { width: 360, height: 740 },
  });
  await opened.page.getByRole('heading', { name: /REST API, version/ }).waitFor();
  const document = (await (await rest('a', 'GET', '/v1/openapi.json')).json()) as {
    paths: Record<string, object>;
  };
  const addresses = Object.values(document.paths).flatMap((methods) => Object.keys(methods));
  expect(await opened.page.getByRole('article').count()).toBeGreaterThan(addresses.length);
  const calls = opened.page.getByRole('article', { name: 'POST /v1/calls' });
  await calls.getByText('"event": "missed"').first().waitFor();
  await opened.page.evaluate(AXE);
  const violations = await opened.page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + " " + nodes[0].html))',
  );
  expect(violations).toEqual([]);
  expect(
    await opened.page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth'),
  ).toBe(false);
  expect(opened.faults).toEqual([]);
  await opened.close();
});

phoneCalls({
  get browser() {
    return browser;
  },
  get endpoints() {
    return endpoints;
  },
});
