import { LastcallError } from '../domain/errors.ts';
import { openMariadbSink } from './mariadb.ts';
import { openPostgresSink } from './postgres.ts';
import type { Sink } from './sink.ts';

/** By the URL's scheme. A new engine is one file and one line here. */
const ENGINES: Readonly<Record<string, (url: string) => Promise<Sink>>> = {
  'mariadb:': openMariadbSink,
  'mysql:': openMariadbSink,
  'postgres:': openPostgresSink,
  'postgresql:': openPostgresSink,
};

/** Throws `INVALID_VALUE` naming the forms that are known. */
export function checkTargetUrl(url: string): void {
  const known = Object.keys(ENGINES).map((scheme) => `${scheme}//user:password@host/database`);
  const scheme = /^[a-z]+:/.exec(url)?.[0] ?? '';
  if (!(scheme in ENGINES) || !/^[a-z]+:\/\/[^/]+\/[^/?]+/.test(url))
    throw new LastcallError('INVALID_VALUE', {
      details: { message: `a target is a URL such as ${known.join(' or ')}` },
    });
}

export async function openSink(url: string): Promise<Sink> {
  checkTargetUrl(url);
  const open = ENGINES[/^[a-z]+:/.exec(url)?.[0] ?? ''];
  if (!open) throw new TypeError('checked above');
  return open(url);
}
