/**
 * Servers that another was promoted past and that take writes all the same (rule 28). Each is fenced, what only it holds is
 * brought to the site's new primary while it lives, and then whatever the operator configured stops it.
 *
 * Invariant: nothing of Lastcall writes there once it is fenced, so a salvage that began after is complete. Every part may
 * be repeated, by several coordinators as well.
 */
import { type LastcallEvent, lastcallEvent } from '../../shared/domain/alert.ts';
import { type ServerSalvage, salvageServer } from '../../shared/postgres/repair/salvage-server.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { patienceMs } from './detect.ts';
import { runHostCommand } from './host-command.ts';
import type { FormerPrimary, Observations } from './observe.ts';
import type { CoordinatorLog, CoordinatorSettings } from './settings.ts';

export interface FormerPrimariesOptions {
  /** The site whose coordinator this is. */
  readonly home: string;
  readonly settings: CoordinatorSettings;
  readonly log: CoordinatorLog;
  readonly tell: (event: LastcallEvent) => void;
}

interface Case {
  readonly sinceMs: number;
  working: Promise<void> | null;
  nextMs: number;
  faults: number;
  salvaged: boolean;
  stopped: boolean;
}

/** A fence that somebody has lifted by hand is put back this soon. */
const AGAIN_MS = 10_000;
const RETRY_MS = 1_000;
/** A server that cannot be fenced or read is stopped all the same: it must not take writes for ever. */
const MOST_FAULTS = 20;

export class FormerPrimaries {
  readonly #options: FormerPrimariesOptions;
  readonly #cases = new Map<string, Case>();
  readonly #stopping = new AbortController();

  constructor(options: FormerPrimariesOptions) {
    this.#options = options;
  }

  /** After each round. What is to be done goes on beside the next rounds; faults are tried again. */
  look(seen: Observations): void {
    const nowMs = performance.now();
    const found = new Set<string>();
    for (const { site, primaryUrl, formerPrimaries } of seen.values()) {
      for (const server of formerPrimaries) {
        const key = `${site} ${server.host} ${server.systemIdentifier}/${server.timeline}`;
        found.add(key);
        const known = this.#cases.get(key) ?? newCase(nowMs);
        this.#cases.set(key, known);
        if (known.working || nowMs < known.nextMs) continue;
        if (nowMs - known.sinceMs < patienceMs(site, seen, this.#patience())) continue;
        known.working = this.#handle(site, server, primaryUrl, known).finally(() => {
          known.working = null;
        });
      }
    }
    for (const [key, known] of this.#cases) if (!found.has(key) && !known.working) this.#cases.delete(key);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('coordinator stopping'));
    await Promise.all([...this.#cases.values()].map(({ working }) => working));
  }

  #patience(): { home: string; settleMs: number } {
    return { home: this.#options.home, settleMs: this.#options.settings.settleMs };
  }

  async #handle(site: string, server: FormerPrimary, primaryUrl: string | null, known: Case): Promise<void> {
    const { log, settings } = this.#options;
    const { host } = server;
    const links = new Links(
      AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(settings.stepTimeoutMs)]),
    );
    try {
      const old = await links.open(server.url);
      if (await this.#fence(site, server, old)) known.salvaged = false;
      if (!known.salvaged && primaryUrl !== null) {
        const primary = await links.open(primaryUrl);
        this.#tellSalvaged(site, host, await salvageServer(site, { old, primary }));
        // Nobody reads them any more; they would only hold its log.
        await old.simple(DROP_SLOTS);
        known.salvaged = true;
      }
      if (known.salvaged) await this.#stopServer(server, known);
      known.faults = 0;
      known.nextMs = performance.now() + (known.salvaged ? AGAIN_MS : RETRY_MS);
    } catch (cause) {
      if (this.#stopping.signal.aborted) return;
      known.nextMs = performance.now() + RETRY_MS;
      if (++known.faults === MOST_FAULTS) await this.#stopServer(server, known).catch(() => undefined);
      const level = known.faults > 3 ? 'error' : 'warn';
      log[level]({ site, host, err: cause }, 'former primary not salvaged yet');
    } finally {
      await links.close();
    }
  }

  /** Whether it took writes until now. */
  async #fence(site: string, server: FormerPrimary, old: Connection): Promise<boolean> {
    const { host, timeline, newestTimeline } = server;
    const { rows } = await old.query('SELECT lastcall.fence($1::integer) AS fenced', [
      String(newestTimeline),
    ]);
    // Those that knew their tables before.
    await old.simple('SELECT lastcall.end_fenced_sessions()');
    if (rows[0]?.['fenced'] !== 't') return false;
    this.#options.log.warn({ site, host, timeline, newestTimeline }, 'former primary fenced');
    this.#options.tell(lastcallEvent('primary-fenced', site, { detail: { host, timeline, newestTimeline } }));
    return true;
  }

  #tellSalvaged(site: string, host: string, { rows, marks, terminals }: ServerSalvage): void {
    this.#options.log.info({ site, host, rows, marks, terminals }, 'former primary salvaged');
    if (rows + marks + terminals === 0) return;
    const detail = { host, salvagedRows: rows, salvagedMarks: marks, salvagedTerminals: terminals };
    this.#options.tell(lastcallEvent('salvaged', site, { reason: 'two-primaries', detail }));
  }

  async #stopServer({ host }: FormerPrimary, known: Case): Promise<void> {
    const { settings, log } = this.#options;
    if (settings.fenceCommand === null || known.stopped) return;
    await runHostCommand(settings.fenceCommand, host);
    known.stopped = true;
    log.warn({ host }, 'former primary stopped by coordinator.fenceCommand');
  }
}

/** The connections of one attempt, which end with its signal: a server that freezes holds up no coordinator for ever. */
class Links {
  readonly #open: Connection[] = [];
  readonly #signal: AbortSignal;
  readonly #end = (): void => {
    for (const connection of this.#open) connection.destroy(this.#signal.reason as Error);
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#end);
  }

  async open(url: string): Promise<Connection> {
    const connection = await connectToPrimary(url, { applicationName: 'lastcall-salvage' });
    this.#open.push(connection);
    if (this.#signal.aborted) this.#end();
    return connection;
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#end);
    await Promise.all(this.#open.map((connection) => connection.close()));
  }
}

const newCase = (sinceMs: number): Case => ({
  sinceMs,
  working: null,
  nextMs: 0,
  faults: 0,
  salvaged: false,
  stopped: false,
});

const DROP_SLOTS = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
  WHERE slot_name ~ '^(next_)?lastcall_' AND database = current_database() AND NOT active`;
