import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../shared/runtime/package-root.ts';

/** What a process under test sends to, as the operating system is asked to: `udp host:port`, `tcp host:port`, `lookup name`. */
export class Destinations {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  static async watch(): Promise<Destinations> {
    const file = join(await mkdtemp(join(tmpdir(), 'lastcall-destinations-')), 'sent-to.txt');
    writeFileSync(file, '');
    return new Destinations(file);
  }

  /** For the process: `node --import ...` and where to write. */
  get nodeArguments(): string[] {
    return ['--import', join(packageRoot(), 'test/support/raw/destinations-preload.mjs')];
  }

  environment(dns: 'answers' | 'silent' = 'answers'): Record<string, string> {
    return { LASTCALL_TEST_DESTINATIONS: this.#file, LASTCALL_TEST_DNS: dns };
  }

  /** All lines since {@link forget}. */
  get lines(): string[] {
    return readFileSync(this.#file, 'utf8').split('\n').filter(Boolean);
  }

  forget(): void {
    writeFileSync(this.#file, '');
  }
}
