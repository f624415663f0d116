import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import type { Endpoints } from '../../services/lab/endpoints.ts';

/** A microphone that beeps and a network that connects two pages of one machine. */
const MEDIA = [
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--allow-loopback-in-peer-connection',
];

export function launchChromium(): Promise<Browser> {
  const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: [...MEDIA, ...asRoot] });
}

/** The console in a tab of its own, as one site's api serves it. */
export class ConsolePage {
  readonly page: Page;
  /** Errors that no code caught, and what the Content-Security-Policy kept from happening. */
  readonly faults: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => void this.faults.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy|TrustedHTML/i.test(message.text())) this.faults.push(message.text());
    });
    page.on('dialog', (dialog) => {
      this.faults.push(`a script opened a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  static open(
    browser: Browser,
    endpoints: Endpoints,
    { site = 'a', ...context }: BrowserContextOptions & { site?: string } = {},
  ): Promise<ConsolePage> {
    return ConsolePage.at(browser, `${endpoints.sites[site]?.api}/console/`, context);
  }

  /** In a fresh tab of a fresh profile, as somebody who follows a link. */
  static async at(
    browser: Browser,
    address: string,
    context: BrowserContextOptions = {},
  ): Promise<ConsolePage> {
    const page = await (await browser.newContext(context)).newPage();
    page.setDefaultTimeout(60_000);
    const opened = new ConsolePage(page);
    await page.goto(address);
    return opened;
  }

  static async loggedIn(
    browser: Browser,
    endpoints: Endpoints,
    options: BrowserContextOptions & { site?: string } = {},
  ): Promise<ConsolePage> {
    const opened = await ConsolePage.open(browser, endpoints, options);
    await opened.logIn(endpoints.adminToken);
    await opened.page.getByRole('heading', { name: 'Overview' }).waitFor();
    return opened;
  }

  async logIn(token: string): Promise<void> {
    await this.page.getByLabel('Token').fill(token);
    await this.page.getByRole('button', { name: 'Log in' }).click();
  }

  async show(view: string): Promise<void> {
    await this.page.getByRole('navigation').getByRole('link', { name: view, exact: true }).click();
    await this.page.getByRole('heading', { name: view, level: 1 }).waitFor();
  }

  /** Connects a demonstration account and waits until it is registered. */
  async phone(username: string): Promise<PhoneOnPage> {
    await this.show('Phone');
    await this.page.getByRole('button', { name: `Connect ${username}` }).click();
    const phone = new PhoneOnPage(this.page.getByRole('region', { name: `Phone ${username}` }));
    await phone.card.getByText('registered', { exact: true }).waitFor();
    return phone;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}

/** What a person does with one phone of the page. */
export class PhoneOnPage {
  readonly card: Locator;

  constructor(card: Locator) {
    this.card = card;
  }

  async dial(number: string): Promise<void> {
    await this.card.getByLabel('Number').fill(number);
    await this.press('Call');
  }

  press(button: string): Promise<void> {
    return this.card.getByRole('button', { name: button, exact: true }).click();
  }

  /** Waits for a text anywhere on the phone. */
  says(text: string | RegExp): Promise<void> {
    return this.card.getByText(text).first().waitFor();
  }

  /** RTP packets a second and the loudness of the other side, as the phone shows them now. */
  async sound(): Promise<{ received: number; sent: number; level: number }> {
    const number = async (selector: string) =>
      Number(await this.card.locator(selector).textContent({ timeout: 1_000 }));
    return {
      received: await number('.received'),
      sent: await number('.sent'),
      level: await number('meter'),
    };
  }
}
