import { createHash } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { numberOf } from './town.ts';

/** Not the trusted address: these phones prove who they are. */
const ADDRESS = '127.0.0.2';
const DOMAIN = 'lastcall.test';
const PASSWORD = 'secret';
const TIMER_E_MS = 500;
const LONGEST_E_MS = 4_000;
/** Timer F; then the phone begins anew a while later. */
const GIVEN_UP_MS = 32_000;
const BEGIN_ANEW_MS = 10_000;
const TICK_MS = 20;

interface Phone {
  readonly id: number;
  cseq: number;
  nonce: string | null;
  sentAtMs: number;
  /** 0: nothing is waited for. */
  nextAtMs: number;
  intervalMs: number;
  waiting: boolean;
  registered: boolean;
}

/** What happened on the way. */
export interface PhoneCounts {
  requests: number;
  challenges: number;
  refused: number;
  givenUp: number;
  registered: number;
}

/** Phones that register by digest over one UDP socket, each as RFC 3261 has it: it repeats, obeys Retry-After, begins anew. */
export class Phones {
  readonly counts: PhoneCounts = { requests: 0, challenges: 0, refused: 0, givenUp: 0, registered: 0 };
  readonly #server: { readonly host: string; readonly port: number };
  readonly #socket: Socket = createSocket('udp4');
  readonly #phones: Phone[];
  #ticking: NodeJS.Timeout | undefined;
  #port = 0;

  /** Phones 1 to `count`, each starting within `overMs` at random. */
  constructor(target: string, count: number, overMs: number) {
    const [host = '', port = ''] = target.split(':');
    this.#server = { host, port: Number(port) };
    const now = performance.now();
    this.#phones = Array.from({ length: count }, (_, index) => ({
      id: index + 1,
      cseq: 0,
      nonce: null,
      sentAtMs: 0,
      nextAtMs: now + Math.random() * overMs,
      intervalMs: TIMER_E_MS,
      waiting: false,
      registered: false,
    }));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.bind(0, ADDRESS, () => resolve()));
    this.#port = this.#socket.address().port;
    this.#socket.setRecvBufferSize(4 * 1024 * 1024);
    this.#socket.on('message', (bytes) => this.#hear(bytes.toString('latin1')));
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Registers them all again, at random within `overMs`. */
  again(overMs: number): void {
    const now = performance.now();
    for (const phone of this.#phones)
      if (phone.registered) {
        phone.registered = false;
        phone.nextAtMs = now + Math.random() * overMs;
      }
  }

  stop(): void {
    clearInterval(this.#ticking);
    this.#socket.close();
  }

  #tick(): void {
    const now = performance.now();
    for (const phone of this.#phones) {
      if (phone.nextAtMs === 0 || phone.nextAtMs > now) continue;
      if (!phone.waiting) this.#begin(phone, now);
      else if (now - phone.sentAtMs > GIVEN_UP_MS) {
        this.counts.givenUp++;
        phone.waiting = false;
        phone.nonce = null;
        phone.nextAtMs = now + Math.random() * BEGIN_ANEW_MS;
      } else this.#send(phone, now);
    }
  }

  #begin(phone: Phone, now: number): void {
    phone.cseq++;
    phone.sentAtMs = now;
    phone.waiting = true;
    phone.intervalMs = TIMER_E_MS;
    this.#send(phone, now);
  }

  #send(phone: Phone, now: number): void {
    phone.nextAtMs = now + phone.intervalMs;
    phone.intervalMs = Math.min(LONGEST_E_MS, phone.intervalMs * 2);
    this.counts.requests++;
    this.#socket.send(Buffer.from(this.#text(phone), 'latin1'), this.#server.port, this.#server.host);
  }

  #text({ cseq, id, nonce }: Phone): string {
    const user = numberOf(id);
    const at = `${ADDRESS}:${this.#port}`;
    return [
      `REGISTER sip:${DOMAIN} SIP/2.0`,
      `Via: SIP/2.0/UDP ${at};branch=z9hG4bK${id}p${cseq}`,
      'Max-Forwards: 70',
      `From: <sip:${user}@${DOMAIN}>;tag=${id}`,
      `To: <sip:${user}@${DOMAIN}>`,
      `Call-ID: av-${id}`,
      `CSeq: ${cseq} REGISTER`,
      `Contact: <sip:${user}@${at}>`,
      'Expires: 3600',
      ...(nonce === null ? [] : [`Authorization: ${proof(user, nonce)}`]),
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n');
  }

  #hear(text: string): void {
    const status = Number(text.slice(8, 11));
    const phone = this.#phones[Number(/^Call-ID: av-(\d+)/m.exec(text)?.[1]) - 1];
    const cseq = Number(/^CSeq: (\d+)/m.exec(text)?.[1]);
    if (phone === undefined || !phone.waiting || cseq !== phone.cseq || status < 200) return;
    const now = performance.now();
    phone.waiting = false;
    phone.nextAtMs = 0;
    if (status === 200) {
      this.counts.registered++;
      phone.registered = true;
      phone.nonce = null;
    } else if (status === 401) {
      this.counts.challenges++;
      phone.nonce = /nonce="([^"]+)"/.exec(text)?.[1] ?? '';
      this.#begin(phone, now);
    } else {
      this.counts.refused++;
      const seconds = Number(/^Retry-After: (\d+)/m.exec(text)?.[1] ?? 5);
      phone.nonce = null;
      phone.nextAtMs = now + seconds * 1000 * (1 + Math.random() / 2);
    }
  }
}

function proof(user: string, nonce: string): string {
  const uri = `sip:${DOMAIN}`;
  const ha1 = md5(`${user}:${DOMAIN}:${PASSWORD}`);
  const response = md5(`${ha1}:${nonce}:00000001:c:auth:${md5(`REGISTER:${uri}`)}`);
  return `Digest username="${user}", realm="${DOMAIN}", nonce="${nonce}", uri="${uri}", response="${response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"`;
}

const md5 = (text: string): string => createHash('md5').update(text, 'latin1').digest('hex');
