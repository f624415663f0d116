import type { ApiDeps } from '../deps.ts';
import { AlertsAnswer } from '../schemas/alert.ts';
import type { ApiApp } from '../typebox-provider.ts';

export function alertRoute(app: ApiApp, { alerts }: ApiDeps): void {
  app.get(
    '/v1/alerts',
    {
      config: { role: 'read' },
      schema: {
        tags: ['replication'],
        summary: "What this site's coordinator reports: troubles that last, and its latest notices",
        response: { 200: AlertsAnswer },
      },
    },
    async () => {
      const { open, recent } = await alerts.read();
      return { open: [...open], recent: [...recent] };
    },
  );
}
