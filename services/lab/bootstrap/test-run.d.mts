export type Outcome = { passed: number; failed: number; notes: string[] };
export function countTests(report: object, status: number): Outcome;
export function runTests(args: readonly string[]): Promise<void>;
