export function installPrograms(names: readonly string[]): Promise<void>;
export function servicesToDisable(names: readonly string[], knownBefore: readonly string[]): string[];
