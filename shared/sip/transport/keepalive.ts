/** RFC 5626 4.4.1: a double CRLF is a ping, answered by one CRLF. */
export const PING = '\r\n\r\n';
export const PONG = '\r\n';

/** True for a datagram of nothing but CR, LF and NUL bytes, as phones send to keep a NAT binding open. */
export function isKeepalive(text: string): boolean {
  if (text.length > 16) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code !== 13 && code !== 10 && code !== 0) return false;
  }
  return true;
}
