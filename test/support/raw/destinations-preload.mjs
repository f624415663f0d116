// Loaded into a process under test with `--import`: writes down where it sends datagrams, opens connections and what
// names it looks up, one line each (`udp host:port`, with ` (response)` for a SIP response) into LASTCALL_TEST_DESTINATIONS, at most one of a kind in 50 ms. With
// LASTCALL_TEST_DNS=silent no look-up of a name is ever answered, as with a name server that is away.
import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const file = process.env.LASTCALL_TEST_DESTINATIONS;
const dnsIsSilent = process.env.LASTCALL_TEST_DNS === 'silent';
const written = new Set();
setInterval(() => written.clear(), 50).unref();

function note(line) {
  if (!file || written.has(line)) return;
  written.add(line);
  appendFileSync(file, `${line}\n`);
}

const send = dgram.Socket.prototype.send;
dgram.Socket.prototype.send = function (...given) {
  const at = typeof given[2] === 'number' ? 3 : 1;
  note(`udp ${given[at + 1]}:${given[at]}${isResponse(given[0]) ? ' (response)' : ''}`);
  return send.apply(this, given);
};

const isResponse = (message) =>
  String(Array.isArray(message) ? message[0] : (message.subarray?.(0, 7) ?? message)).startsWith('SIP/2.0');

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const [first, second] = Array.isArray(given[0]) ? given[0] : given;
  if (typeof first === 'object') note(`tcp ${first.host ?? 'localhost'}:${first.port ?? first.path}`);
  else note(`tcp ${typeof second === 'string' ? second : 'localhost'}:${first}`);
  return connect.apply(this, given);
};

const lookup = dns.lookup;
dns.lookup = (name, ...rest) => {
  const isAddress = net.isIP(name) !== 0;
  if (!isAddress) appendLookup(name);
  if (!isAddress && dnsIsSilent) return undefined;
  return lookup(name, ...rest);
};
const lookupPromise = dns.promises.lookup;
dns.promises.lookup = (name, ...rest) => {
  const isAddress = net.isIP(name) !== 0;
  if (!isAddress) appendLookup(name);
  return !isAddress && dnsIsSilent ? new Promise(() => {}) : lookupPromise(name, ...rest);
};

/** Every one of them: how many there are is what matters. */
function appendLookup(name) {
  if (file) appendFileSync(file, `lookup ${name}\n`);
}

syncBuiltinESMExports();
