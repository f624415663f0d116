import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the kernel's ephemeral ports, so that no outgoing connection takes the port while its server restarts. */
const LOWEST = 20_000;
const HIGHEST = 32_000;
const handedOut = new Set<number>();

/** A port on 127.0.0.1 that is free for TCP and UDP now, and not given twice by this process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (handedOut.has(port)) continue;
    if ((await isFree('tcp', '127.0.0.1', port)) && (await isFree('udp', '127.0.0.1', port))) {
      handedOut.add(port);
      return port;
    }
  }
}

/** Whether `host:port` can be bound now. Other faults than a taken address (no right, no such address) are thrown. */
export async function isFree(transport: 'tcp' | 'udp', host: string, port: number): Promise<boolean> {
  try {
    await (transport === 'tcp' ? bindTcp(host, port) : bindUdp(host, port));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

async function bindTcp(host: string, port: number): Promise<void> {
  const server = createServer().listen({ host, port, exclusive: true });
  await once(server, 'listening');
  await new Promise((closed) => server.close(closed));
}

async function bindUdp(host: string, port: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.bind({ address: host, port, exclusive: true });
  await once(socket, 'listening');
  await new Promise<void>((closed) => socket.close(closed));
}
