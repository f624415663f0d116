export function build(project: string, folders: readonly string[]): Promise<void>;
export function buildConsole(): Promise<void>;
