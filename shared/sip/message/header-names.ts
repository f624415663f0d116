/** Compact forms (RFC 3261 7.3.3 and the IANA registry) and their long names. */
const COMPACT: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
};

const COMMON = [
  'Via',
  'From',
  'To',
  'Call-ID',
  'CSeq',
  'Max-Forwards',
  'Contact',
  'Route',
  'Record-Route',
  'Content-Length',
  'Content-Type',
  'Expires',
  'Authorization',
  'Proxy-Authorization',
  'WWW-Authenticate',
  'Proxy-Authenticate',
  'Allow',
  'Supported',
  'Require',
  'Proxy-Require',
  'Unsupported',
  'User-Agent',
  'Server',
  'P-Asserted-Identity',
  'P-Preferred-Identity',
  'Privacy',
  'Path',
  'Service-Route',
  'Retry-After',
  'Min-Expires',
  'In-Reply-To',
  'Date',
  'Session-Expires',
  'Min-SE',
  'Diversion',
  'History-Info',
  'Accept',
  'Reason',
  'Warning',
  'Timestamp',
  'RSeq',
  'RAck',
];

/** Spellings seen often, long and compact, so that naming a header costs one lookup. */
const SPELLINGS = new Map<string, string>();
const DISPLAY = new Map<string, string>();
for (const name of COMMON) {
  const canonical = name.toLowerCase();
  SPELLINGS.set(name, canonical);
  SPELLINGS.set(canonical, canonical);
  DISPLAY.set(canonical, name);
}
for (const [compact, long] of Object.entries(COMPACT)) {
  SPELLINGS.set(compact, long);
  SPELLINGS.set(compact.toUpperCase(), long);
}

/** As {@link canonicalName}, for a name in a spelling that is seen often; undefined for any other. */
export const usualName = (name: string): string | undefined => SPELLINGS.get(name);

/** The long name in lower case, under which this library files a header. */
export function canonicalName(name: string): string {
  const known = SPELLINGS.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  return SPELLINGS.get(lower) ?? lower;
}

/** How a header is written: its usual spelling, or each word capitalised. */
export function displayName(canonical: string): string {
  return DISPLAY.get(canonical) ?? canonical.split('-').map(capitalised).join('-');
}

const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
