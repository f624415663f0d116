const SHOWN = 100;

/** How often terminals have changed while this process listened: a page that watches reads again what it shows. */
export class TerminalChanges {
  #changes = 0;
  #latest: readonly number[] = [];

  /** The newest first; those that changed while nobody listened are not named. */
  get seen(): { readonly changes: number; readonly terminalIds: readonly number[] } {
    return { changes: this.#changes, terminalIds: this.#latest };
  }

  note(terminalIds: readonly number[]): void {
    this.#changes++;
    this.#latest = [...new Set([...terminalIds, ...this.#latest])].slice(0, SHOWN);
  }
}
