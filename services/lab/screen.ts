import { SHOWN_ACCOUNTS } from './demo-terminals.ts';
import type { Endpoints, SiteEndpoints } from './endpoints.ts';
import { DOMAIN, type LabPlan } from './plan.ts';

/** What the user sees when the lab is ready: where things are, who can call, what to try. */
export function readyScreen(
  plan: LabPlan,
  { console: link, sites, terminals }: Endpoints,
  data: string,
  detached: boolean,
): string {
  const names = Object.keys(sites);
  const dataOption = data === '.lab' ? '' : ` --data ${data}`;
  const lab = data === '.lab' ? '' : ` --lab ${data}`;
  const more = terminals.length - SHOWN_ACCOUNTS;
  return [
    '',
    `Lastcall is ready: sites ${names.join(', ')} on this machine, domain ${DOMAIN}.`,
    '',
    ...table(sites),
    '',
    `Open this in a browser; it logs in once: ${link}`,
    '',
    'Demo accounts, for a softphone at any site:',
    ...terminals
      .slice(0, SHOWN_ACCOUNTS)
      .map(({ username, password }) => `  ${username}   password ${password}`),
    ...(more > 0 ? [`  and ${more} more in ${plan.endpointsFile}`] : []),
    '',
    'What to dial:',
    '  1001 calls 1002 and both hang up; 1001 dials *52 and 1002 rings again, also from the other site.',
    '  1001 calls 1002 and gives up;     1002 dials *69 and 1001 rings.',
    `  npx lastcall${lab} lookup 1001 '*52'    npx lastcall${lab} status`,
    ...plugs(sites).map(
      (pid) => `  kill -9 ${pid} ends site a's primary: its standby takes over; npx lastcall${lab} failovers`,
    ),
    '',
    `For scripts: ${plan.endpointsFile}    Logs: ${plan.logDir}`,
    detached ? `Stop it with: npm start -- --stop${dataOption}` : 'Stop it with Ctrl-C.',
  ].join('\n');
}

function table(sites: Endpoints['sites']): string[] {
  const rows: [string, (site: SiteEndpoints) => string | undefined][] = [
    ['SIP UDP, TCP', ({ sip }) => sip.udp],
    ['SIP TLS', ({ sip }) => sip.tls],
    ['WebSocket', ({ sip }) => sip.ws],
    ['  secure', ({ sip }) => sip.wss],
    ['REST', ({ api }) => api],
    ['Console', ({ console }) => console],
    ['PostgreSQL', ({ postgres }) => postgres.replace(/^.*@/, '').replace(/\/.*$/, '')],
    ['Redis', ({ redis }) => redis.replace(/^.*[/@]/, '')],
  ];
  const columns = Object.entries(sites);
  const line = (title: string, cells: string[]): string =>
    `  ${title.padEnd(14)}${cells.map((cell) => cell.padEnd(33)).join('')}`.trimEnd();
  return [
    line(
      '',
      columns.map(([name]) => `site ${name}`),
    ),
    ...rows
      .filter(([, cell]) => columns.some(([, site]) => cell(site) !== undefined))
      .map(([title, cell]) =>
        line(
          title,
          columns.map(([, site]) => cell(site) ?? ''),
        ),
      ),
  ];
}

/** The process to kill where a standby stands ready. */
function plugs(sites: Endpoints['sites']): number[] {
  return Object.values(sites).flatMap(({ pids: { postgres, standby } }) =>
    postgres && standby ? [postgres] : [],
  );
}
