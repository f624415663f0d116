import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { requestText, responseTo } from '../unit/sip/messages.ts';

/** A repeatable stream of numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const CREDENTIALS =
  'Authorization: Digest username="1001", realm="lastcall.test", nonce="n", uri="sip:x", response="r", qop=auth, nc=00000001, cnonce="c"';

const SOUND = [
  requestText({ extra: ['Contact: "A, B" <sip:a@192.0.2.1;transport=tcp>;expires=5', CREDENTIALS] }),
  requestText({
    method: 'REGISTER',
    uri: 'sip:lastcall.test',
    extra: ['Contact: *', 'Expires: 0', 'Path: <sip:p;lr>'],
  }),
  requestText({ method: 'CANCEL' }),
  requestText({ method: 'ACK', toTag: 'b', extra: ['Route: <sip:127.0.0.1;lr>, <sip:p2.example.com;lr>'] }),
  responseTo(requestText({ branch: 'z9hG4bKout' }), 200),
  responseTo(requestText({ branch: 'z9hG4bKout' }), 407, 't', [
    'Proxy-Authenticate: Digest realm="x", nonce="y"',
  ]),
];

/** What mutations start from: sound messages and the torture messages. */
export function fuzzSeeds(): readonly string[] {
  const folder = join(packageRoot(), 'sip-scenarios', 'torture');
  const torture = readdirSync(folder).filter((name) => name.endsWith('.dat'));
  return [...SOUND, ...torture.map((name) => readFileSync(join(folder, name)).toString('latin1'))];
}

/** Characters that mean something to a parser. */
const SHARP = ' \t\r\n";,<>:@=?/\\%()[]*\0\x7f\xff';

type Mutation = (text: string, random: () => number, seeds: readonly string[]) => string;

const at = (text: string, random: () => number): number => Math.floor(random() * (text.length + 1));

const MUTATIONS: readonly Mutation[] = [
  function replaceOne(text, random) {
    const i = at(text, random);
    return text.slice(0, i) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(i + 1);
  },
  function insertSharp(text, random) {
    const i = at(text, random);
    return text.slice(0, i) + SHARP.charAt(Math.floor(random() * SHARP.length)) + text.slice(i);
  },
  function remove(text, random) {
    const i = at(text, random);
    return text.slice(0, i) + text.slice(i + Math.floor(random() * 40));
  },
  function repeat(text, random) {
    const i = at(text, random);
    const piece = text.slice(i, i + 1 + Math.floor(random() * 60));
    return text.slice(0, i) + piece.repeat(1 + Math.floor(random() * 30)) + text.slice(i);
  },
  function flood(text, random) {
    const i = at(text, random);
    const unit = SHARP.charAt(Math.floor(random() * SHARP.length)) + (random() < 0.5 ? '' : 'a=');
    return text.slice(0, i) + unit.repeat(Math.floor((random() * 60_000) / unit.length)) + text.slice(i);
  },
  function truncate(text, random) {
    return text.slice(0, at(text, random));
  },
  function splice(text, random, seeds) {
    const other = seeds[Math.floor(random() * seeds.length)] ?? '';
    return text.slice(0, at(text, random)) + other.slice(at(other, random));
  },
  function moveLine(text, random) {
    const lines = text.split('\r\n');
    const [line = ''] = lines.splice(Math.floor(random() * lines.length), 1);
    lines.splice(Math.floor(random() * lines.length), 0, line);
    return lines.join('\r\n');
  },
  function replaceNumber(text, random) {
    const numbers = ['0', '-1', '4294967296', '99999999999999999999', '1e9', '0x10', ''];
    const digits = [...text.matchAll(/\d+/g)];
    const chosen = digits[Math.floor(random() * digits.length)];
    if (chosen === undefined) return text;
    const value = numbers[Math.floor(random() * numbers.length)] ?? '';
    return text.slice(0, chosen.index) + value + text.slice(chosen.index + chosen[0].length);
  },
];

/** One to four mutations of a seed, at most a datagram long. */
export function mutated(seeds: readonly string[], random: () => number): string {
  let text = seeds[Math.floor(random() * seeds.length)] ?? '';
  const rounds = 1 + Math.floor(random() * 4);
  for (let i = 0; i < rounds; i++) {
    text = MUTATIONS[Math.floor(random() * MUTATIONS.length)]?.(text, random, seeds) ?? text;
  }
  return text.slice(0, 65_000);
}

/** Mutations a test makes; LASTCALL_FUZZ_COUNT raises it, e.g. to 50000. */
export const fuzzCount = (fallback: number): number => Number(process.env.LASTCALL_FUZZ_COUNT ?? fallback);
