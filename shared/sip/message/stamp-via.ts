import { splitOutsideQuotes } from '../syntax/lexical.ts';
import type { Via } from '../syntax/via.ts';
import type { SipRequest } from './message.ts';
import { relaid } from './parse.ts';

/**
 * RFC 3261 18.2.1 and RFC 3581 4: writes `received` (and `rport` when asked for) into the top Via of a request that just
 * came in, unless sent-by already is where it came from. Parameters of that name from the sender are overwritten.
 */
export function stampVia(request: SipRequest, via: Via, address: string, port: number): SipRequest {
  const asked = via.rport !== undefined;
  const sentBy = via.host === address || via.host === `[${address}]`;
  if (!asked && sentBy && via.received === undefined) return request;
  const index = request.indexOf('via');
  const [first = '', ...others] = splitOutsideQuotes(request.valueAt(index), ',');
  const kept = splitOutsideQuotes(first, ';').filter((part) => !isStamp(part));
  const stamp = asked ? `;received=${address};rport=${port}` : sentBy ? '' : `;received=${address}`;
  return withLine(request, index, `Via: ${[kept.join(';') + stamp, ...others].join(', ')}`);
}

function isStamp(part: string): boolean {
  const name = part.split('=', 1)[0]?.trim().toLowerCase();
  return name === 'received' || name === 'rport';
}

/** The request with header line `index` replaced and every later offset moved. */
function withLine(request: SipRequest, index: number, line: string): SipRequest {
  const { layout, text } = request;
  const start = layout.lines[index * 3] ?? 0;
  const end = layout.lines[index * 3 + 2] ?? 0;
  const shift = line.length - (end - start);
  const lines = layout.lines.map((offset, i) => (i > index * 3 + 2 ? offset + shift : offset));
  lines[index * 3 + 1] = start + line.indexOf(':') + 1;
  lines[index * 3 + 2] = end + shift;
  const moved = { ...layout, lines, bodyStart: layout.bodyStart + shift };
  return relaid(request, text.slice(0, start) + line + text.slice(end), moved).adopt(request);
}
