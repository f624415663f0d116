import pg from 'pg';
import { parseTimestamptz } from '../domain/micros.ts';

const INT8 = 20;
const TIMESTAMPTZ = 1184;

/** Type parsers of every connection: bigint as number (terminal ids stay below 2^53), timestamptz as Micros, never as a Date. */
export function typeParsers(): pg.TypeOverrides {
  const types = new pg.TypeOverrides();
  types.setTypeParser(INT8, (text) => Number(text));
  types.setTypeParser(TIMESTAMPTZ, (text) => parseTimestamptz(text));
  return types;
}
