import type { Server } from 'node:net';
import type { ListenerOptions } from './listener.ts';

/** Binds a stream server and returns its port; later errors go to `onError`. */
export function listening(
  server: Server,
  options: ListenerOptions,
  onError: (error: Error) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', reject);
      server.on('error', onError);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : options.port);
    });
  });
}
