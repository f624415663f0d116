/** INVITE server transactions without a final response: what calls hold here, by the address they came from. */
export class PendingInvites {
  readonly #bySource = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Those that came from one IP address. */
  from(address: string): number {
    return this.#bySource.get(address) ?? 0;
  }

  begun(address: string): void {
    this.#total++;
    this.#bySource.set(address, this.from(address) + 1);
  }

  settled(address: string): void {
    this.#total--;
    const left = this.from(address) - 1;
    if (left > 0) this.#bySource.set(address, left);
    else this.#bySource.delete(address);
  }
}
