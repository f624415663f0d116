/** The parsed arguments and options of one call, read by name and type. */
export class Input {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  text(name: string): string {
    return String(this.#values.get(name));
  }

  maybeText(name: string): string | null {
    const value = this.#values.get(name);
    return value === undefined || value === null ? null : String(value);
  }

  maybeWhole(name: string): number | null {
    const value = this.#values.get(name);
    return typeof value === 'number' ? value : null;
  }

  /** Given at all, whatever its value. */
  has(name: string): boolean {
    return this.#values.get(name) !== undefined;
  }

  flag(name: string): boolean {
    return this.#values.get(name) === true;
  }

  list(name: string): readonly string[] {
    const value = this.#values.get(name);
    return Array.isArray(value) ? value.map(String) : [];
  }
}
