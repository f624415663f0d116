/**
 * The URL as `pg` reads it with libpq's meaning of sslmode, which the wire client has as well: `require` encrypts and
 * verifies only what sslrootcert names, `verify-ca` leaves the host's name alone. Unasked, `pg` verifies everything in
 * every mode. It cannot try both ways either: with `prefer`, which promises nothing, it goes without TLS.
 */
export function clientUrl(url: string): string {
  const [address = '', query] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  const mode = parameters.get('sslmode');
  if (mode === null) return url;
  if (mode === 'prefer')
    for (const name of ['sslmode', 'sslrootcert', 'sslcert', 'sslkey']) parameters.delete(name);
  else parameters.set('uselibpqcompat', 'true');
  return `${address}?${parameters}`;
}
