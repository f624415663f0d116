import { rm } from 'node:fs/promises';
import type { Endpoints } from './endpoints.ts';
import { writeAtomically } from './write-atomically.ts';

/** `endpoints.json`: there exactly while the lab is ready, always with the process ids that run. */
export class EndpointsFile {
  readonly #file: string;
  #content: Endpoints | null = null;
  #written: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  publish(content: Endpoints): Promise<void> {
    this.#content = content;
    return this.#write();
  }

  /** Takes the process ids anew; nothing happens before `publish` and after `withdraw`. */
  async refreshPids(pidsOf: (site: string) => Record<string, number>): Promise<void> {
    if (!this.#content) return;
    for (const [site, endpoints] of Object.entries(this.#content.sites)) endpoints.pids = pidsOf(site);
    await this.#write();
  }

  async withdraw(): Promise<void> {
    this.#content = null;
    await this.#written.catch(() => {});
    await rm(this.#file, { force: true });
  }

  /** One write after the other: each holds what is true when its turn comes. */
  #write(): Promise<void> {
    this.#written = this.#written
      .catch(() => {})
      .then(async () => {
        if (this.#content) await writeAtomically(this.#file, `${JSON.stringify(this.#content, null, 2)}\n`);
      });
    return this.#written;
  }
}
