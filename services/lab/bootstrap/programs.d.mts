export type SystemProgram = {
  programs: string[];
  debian: string[];
  fedora?: string[];
  macos?: string[];
  services?: string[];
  optional?: boolean;
};
export const POSTGRES_FOLDERS: readonly string[];
export const PROGRAMS: Record<string, SystemProgram>;
export function programsFor(verb: string, args: readonly string[]): string[];
