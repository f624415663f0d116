import { randomUUID } from 'node:crypto';
import { LastcallError } from '../../shared/domain/errors.ts';
import { insertFailover } from '../../shared/postgres/directions/failovers.ts';
import type { Context } from './context.ts';

export interface FailoverRequest {
  readonly site: string;
  readonly reason: string;
  readonly requestedBy: string;
}

/**
 * Hands the request to the API; when that is away, writes it into this site's database, where the coordinator finds it.
 * Resolves with the failover's id once it is kept.
 */
export async function requestFailover(context: Context, request: FailoverRequest): Promise<string> {
  try {
    const { id } = await context.api().post<{ id: string }>('/v1/failovers', request);
    return id;
  } catch (error) {
    if (!(error instanceof LastcallError) || error.code !== 'API_UNREACHABLE' || !hasConfig(context))
      throw error;
  }
  const id = randomUUID();
  await insertFailover(await context.database(), { id, ...request });
  return id;
}

/** A database host that runs a hook may know only the API's address. */
function hasConfig(context: Context): boolean {
  try {
    context.config();
    return true;
  } catch {
    return false;
  }
}
