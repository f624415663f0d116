import type { HostPort } from '../../../shared/runtime/config-field.ts';
import { httpRequest } from '../../../shared/runtime/http-request.ts';

const ASK_LIMIT_MS = 500;
const IN_RING = /^lastcall_journal_terminals\{[^}]*kept="ring"[^}]*\} (\d+)/m;

/**
 * Terminals whose records this site's processes hold in their ring files: with PostgreSQL and Redis both away nobody else
 * can tell. Null when no process answers. Never rejects.
 */
export async function journalInMemory(listeners: readonly HostPort[]): Promise<number | null> {
  const asked = await Promise.allSettled(
    listeners.filter(({ port }) => port !== 0).map(({ host, port }) => readCount(host, port)),
  );
  const counts = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  return counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0);
}

async function readCount(host: string, port: number): Promise<number> {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  const place = name.includes(':') ? `[${name}]` : name;
  const { text } = await httpRequest(`http://${place}:${port}/metrics`, { timeoutMs: ASK_LIMIT_MS });
  return Number(IN_RING.exec(text)?.[1] ?? 0);
}
