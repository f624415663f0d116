/** The bytes below the protocol: TCP read into the receive buffer in place, or TLS after an SSLRequest. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionTarget } from './connection-target.ts';
import type { FrameBuffer } from './frame-buffer.ts';
import { ConnectionLost, NoAnswer, ProtocolRefused } from './server-error.ts';

export interface ByteStreamEvents {
  /** New bytes stand in the frame buffer. */
  onBytes(): void;
  onClose(cause: Error | null): void;
}

export interface ByteStream {
  readonly socket: Socket;
  readonly encrypted: boolean;
}

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Throws `ConnectionLost` when the host does not answer, `ProtocolRefused` when TLS is required and refused. */
export async function openByteStream(
  target: ConnectionTarget,
  { host, port }: { host: string; port: number },
  frames: FrameBuffer,
  events: ByteStreamEvents,
): Promise<ByteStream> {
  const isUnixSocket = host.startsWith('/');
  if (target.sslMode !== 'disable' && !isUnixSocket) {
    const socket = await openTls(target, host, port);
    if (socket) {
      socket.on('data', (chunk: Buffer) => {
        frames.append(chunk);
        events.onBytes();
      });
      return { socket: watchClose(socket, events), encrypted: true };
    }
    if (target.sslMode !== 'prefer')
      throw new ProtocolRefused(`sslmode is ${target.sslMode} and the server offers no TLS`);
  }
  const onread = {
    buffer: () => frames.space(),
    callback: (size: number) => {
      frames.end += size;
      events.onBytes();
      return true;
    },
  };
  const socket = await opened(
    connectTcp(
      isUnixSocket
        ? { path: `${host}/.s.PGSQL.${port}`, onread }
        : { host, port, noDelay: true, keepAlive: true, onread },
    ),
    'connect',
    target.connectTimeoutMs,
  );
  return { socket: watchClose(socket, events), encrypted: false };
}

/** `null` when the server says that it has no TLS. */
async function openTls(target: ConnectionTarget, host: string, port: number): Promise<Socket | null> {
  const plain = await opened(
    connectTcp({ host, port, noDelay: true, keepAlive: true }),
    'connect',
    target.connectTimeoutMs,
  );
  plain.write(SSL_REQUEST);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    plain.once('data', resolve);
    plain.once('error', reject);
    plain.once('close', () => reject(new ConnectionLost(`${host}:${port} closed the connection before TLS`)));
    const { connectTimeoutMs } = target;
    plain.setTimeout(connectTimeoutMs, () => plain.destroy(new NoAnswer(`no TLS in ${connectTimeoutMs} ms`)));
  });
  plain.setTimeout(0);
  if (answer.length !== 1 || answer[0] !== 0x53) {
    plain.destroy();
    return null;
  }
  // As libpq: `require` verifies as verify-ca does once an authority is named.
  const verifiesChain =
    target.sslMode === 'verify-ca' || (target.sslMode === 'require' && target.tls.ca !== undefined);
  const secure = connectTls({
    socket: plain,
    ...target.tls,
    servername: /^[\d.:]+$/.test(host) ? '' : host,
    host,
    rejectUnauthorized: verifiesChain || target.sslMode === 'verify-full',
    ...(verifiesChain && { checkServerIdentity: () => undefined }),
  });
  return opened(secure, 'secureConnect', target.connectTimeoutMs);
}

function opened<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  timeoutMs: number,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new NoAnswer(`no answer in ${timeoutMs} ms`)), timeoutMs);
    const onFault = (cause: Error): void => {
      clearTimeout(timer);
      const Fault = cause instanceof NoAnswer ? NoAnswer : ConnectionLost;
      reject(new Fault(`cannot connect: ${cause.message}`, { cause }));
    };
    socket.once('error', onFault);
    socket.once(event, () => {
      clearTimeout(timer);
      socket.removeListener('error', onFault);
      resolve(socket);
    });
  });
}

function watchClose<S extends Socket>(socket: S, events: ByteStreamEvents): S {
  let fault: Error | null = null;
  socket.on('error', (error) => {
    fault = error;
  });
  socket.once('close', () => events.onClose(fault));
  return socket;
}
