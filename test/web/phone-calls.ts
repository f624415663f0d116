import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import type { Endpoints } from '../../services/lab/endpoints.ts';
import { ConsolePage, type PhoneOnPage } from '../support/console-page.ts';
import { waitFor } from '../support/wait-for.ts';

const hears = (phone: PhoneOnPage): Promise<unknown> =>
  waitFor(
    async () => {
      const { level, received, sent } = await phone.sound();
      return received > 20 && sent > 20 && level > 0;
    },
    { what: 'sound both ways', deadlineMs: 60_000 },
  );

/** In the lab and the browser of the console's own tests: starting both costs as much as these take. */
export function phoneCalls(stage: { readonly browser: Browser; readonly endpoints: Endpoints }): void {
  test('two pages call each other with sound both ways, hang up, and *52 rings again; *69 returns a missed call', async () => {
    const [alice, bob] = await Promise.all([
      ConsolePage.loggedIn(stage.browser, stage.endpoints),
      ConsolePage.loggedIn(stage.browser, stage.endpoints),
    ]);
    const [one, two] = await Promise.all([alice.phone('1001'), bob.phone('1002')]);

    await one.dial('1002');
    await two.says('Call from');
    await one.says('Rings at');
    await two.press('Answer');
    await Promise.all([hears(one), hears(two)]);
    await one.press('5');
    await one.card.locator('kbd', { hasText: /^5$/ }).waitFor();
    await one.press('Hang up');
    await two.says(/talked 00:\d\d/);

    await one.says('calls 1002');
    await one.press('*52 Redial');
    await two.says('Call from');
    await one.says('→ 1002');
    await two.press('Decline');
    await one.says('603 Decline');

    await two.says('calls 1001');
    await two.press('*69 Call back');
    await one.says('Call from');
    await one.press('Answer');
    await Promise.all([hears(one), hears(two)]);
    await two.press('Hang up');
    await one.says(/talked 00:\d\d/);
    expect([...alice.faults, ...bob.faults]).toEqual([]);
    await Promise.all([alice.close(), bob.close()]);
  });

  test('a call rings above every view, and S5 reaches a page of the other site', async () => {
    const [alice, bob] = await Promise.all([
      ConsolePage.loggedIn(stage.browser, stage.endpoints),
      ConsolePage.loggedIn(stage.browser, stage.endpoints, { site: 'b' }),
    ]);
    const [three, four] = await Promise.all([alice.phone('1003'), bob.phone('1004')]);
    await bob.show('Overview');
    await three.dial('1004');
    await bob.page.getByText('1003 calls 1004').waitFor();
    await bob.page.getByRole('button', { name: 'Answer' }).click();
    await Promise.all([hears(three), hears(four)]);
    await four.press('Hang up');
    await three.says(/talked 00:\d\d/);
    expect([...alice.faults, ...bob.faults]).toEqual([]);
    await Promise.all([alice.close(), bob.close()]);
  });

  test('a wrong password is said, and the phone of a closed page is no longer called', async () => {
    const page = await ConsolePage.loggedIn(stage.browser, stage.endpoints);
    await page.show('Phone');
    await page.page.getByText('Another account').click();
    await page.page.getByLabel('Username').fill('1005');
    await page.page.getByLabel('Password').fill('wrong');
    await page.page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.page
      .getByRole('region', { name: 'Phone 1005' })
      .getByText(/^40[13] /)
      .waitFor();
    await page.page.getByRole('button', { name: 'Disconnect 1005' }).click();

    const caller = await page.phone('1001');
    await page.phone('1002');
    await page.page.getByRole('button', { name: 'Disconnect 1002' }).click();
    await waitFor(
      async () => {
        await caller.dial('1002');
        await caller.says(/^480 /);
        return true;
      },
      { what: '1002 to be gone', everyMs: 500 },
    );
    await page.close();
  });
}
