import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCertificate } from '../../../services/lab/certificate.ts';
import type { CertificateFiles } from '../../../services/lab/site-config.ts';

let folder: string;
let files: CertificateFiles;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'certificate-'));
  files = await ensureCertificate(folder, ['lastcall.test', 'localhost', '127.0.0.1']);
});
afterAll(() => rm(folder, { recursive: true }));

test('the certificate names the domain and the address, and signs itself', async () => {
  const certificate = new X509Certificate(await readFile(files.certificate));
  expect(certificate.subject).toBe('CN=lastcall.test');
  expect(certificate.subjectAltName).toBe('DNS:lastcall.test, DNS:localhost, IP Address:127.0.0.1');
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(new Date(certificate.validTo).getTime()).toBeGreaterThan(Date.now() + 9 * 365 * 86_400_000);
});

test('a second start keeps the certificate, which phones may trust by now', async () => {
  const before = await readFile(files.certificate, 'utf8');
  await ensureCertificate(folder, ['other.test']);
  expect(await readFile(files.certificate, 'utf8')).toBe(before);
});

test('only its owner reads the key', async () => {
  expect((await stat(files.key)).mode & 0o077).toBe(0);
});

test('a client that trusts it completes a TLS handshake by name and by address', async () => {
  const [cert, key] = await Promise.all([readFile(files.certificate), readFile(files.key)]);
  const server = createServer({ cert, key }, (socket) => socket.end());
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  for (const name of [{ servername: 'localhost' }, {}]) {
    const socket = connect({ host: '127.0.0.1', port, ca: cert, ...name });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    expect(socket.authorized).toBe(true);
    socket.destroy();
  }
  await new Promise((closed) => server.close(closed));
});
