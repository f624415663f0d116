import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import type { CertificateFiles } from './site-config.ts';
import { writeAtomically } from './write-atomically.ts';

/**
 * A self-signed certificate (RFC 5280) for TLS and WSS on this machine, made once for a data folder. Node signs but does
 * not write certificates, and a fresh machine need not have openssl, so its DER is put together here.
 */
export async function ensureCertificate(folder: string, names: readonly string[]): Promise<CertificateFiles> {
  const files = { certificate: join(folder, 'lab.pem'), key: join(folder, 'lab.key') };
  if (existsSync(files.certificate) && existsSync(files.key)) return files;
  await mkdir(folder, { recursive: true });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  await writeAtomically(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  await writeAtomically(files.certificate, selfSigned(privateKey, publicKey, names));
  return files;
}

const DAY_MS = 86_400_000;
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));

function selfSigned(privateKey: KeyObject, publicKey: KeyObject, names: readonly string[]): string {
  const name = sequence(set(sequence(oid('550403'), utf8(names[0] ?? 'localhost'))));
  const validity = sequence(time(Date.now() - DAY_MS), time(Date.now() + 3650 * DAY_MS));
  const extensions = sequence(
    sequence(oid('551d11'), octets(sequence(...names.map(alternativeName)))),
    sequence(oid('551d13'), boolean(true), octets(sequence(boolean(true)))),
  );
  const certificate = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ECDSA_WITH_SHA256,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, extensions),
  );
  const signature = tagged(0x03, Buffer.from([0]), sign('sha256', certificate, privateKey));
  const pem = sequence(certificate, ECDSA_WITH_SHA256, signature)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${pem}-----END CERTIFICATE-----\n`;
}

/** One DER value: tag, length, content (X.690 section 8.1). */
function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}
function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}
const set = (part: Buffer): Buffer => tagged(0x31, part);
const integer = (bytes: Buffer): Buffer => tagged(0x02, bytes);
const octets = (part: Buffer): Buffer => tagged(0x04, part);
const utf8 = (text: string): Buffer => tagged(0x0c, Buffer.from(text));
const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]));
/** GeneralizedTime, `20261121034700Z`. */
const time = (atMs: number): Buffer =>
  tagged(0x18, Buffer.from(`${new Date(atMs).toISOString().replace(/[-:T]|\.\d+Z/g, '')}Z`));
/** GeneralName: an IPv4 address or a DNS name. */
const alternativeName = (name: string): Buffer =>
  isIPv4(name) ? tagged(0x87, Buffer.from(name.split('.').map(Number))) : tagged(0x82, Buffer.from(name));
