import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { ERRORS, LastcallError } from '../../shared/domain/errors.ts';
import { sweepAbandonedServers } from '../../shared/servers/started-processes.ts';
import { askLab } from './control.ts';
import { announceReady, detach, isAwaited } from './detach.ts';
import { Lab } from './lab.ts';
import { Obstacle } from './obstacle.ts';
import { type LabCommand, type LabOptions, parseCommandLine, USAGE, UsageError } from './options.ts';
import { labFiles, neededPorts, planLab } from './plan.ts';
import { takenPorts } from './port-holder.ts';
import { claimDataFolder, releaseDataFolder, runningLab, stopRunningLab } from './run-state.ts';
import { readyScreen } from './screen.ts';
import { untilAskedToStop } from './stop-signals.ts';

const SHOWN_PORTS = 6;
const args = process.argv.slice(2);
const say = (line: string): void => console.log(line);
process.stdout.on('error', () => {}); // The terminal may be gone while we still stop things.
process.exitCode = await main();

async function main(): Promise<number> {
  try {
    await perform(parseCommandLine(args));
    return 0;
  } catch (error) {
    console.error(`\n${describe(error)}`);
    if (error instanceof UsageError) {
      console.error(`\n${USAGE}`);
      return 2;
    }
    return 1;
  }
}

async function perform(command: LabCommand): Promise<void> {
  switch (command.do) {
    case 'help':
      return say(USAGE);
    case 'stop': {
      const stopped = await stopRunningLab(labFiles(resolve(command.data)));
      return say(stopped ? 'The lab is stopped.' : `No lab runs from ${command.data}.`);
    }
    case 'halt':
    case 'revive': {
      const files = labFiles(resolve(command.data));
      if (!runningLab(files)) throw new Obstacle(`No lab runs from ${command.data}.`);
      return askLab(files.dataDir, { do: command.do, ...command.part });
    }
    case 'detach': {
      const plan = planLab(command.options, resolve(command.options.data));
      return say(await detach(args, plan));
    }
    case 'run':
      return run(command.options);
  }
}

async function run(options: LabOptions): Promise<void> {
  const plan = planLab(options, resolve(options.data));
  const running = runningLab(plan);
  if (running)
    throw new Obstacle(
      `A lab runs from ${options.data} already (pid ${running.pid}). Stop it with npm start -- --stop, or give this one --data and --port-offset.`,
    );
  sweepAbandonedServers();
  releaseDataFolder(plan);
  const taken = await takenPorts(neededPorts(plan, options.postgres.kind !== 'urls'), say);
  if (taken.length > 0)
    throw new Obstacle(
      `${shorten(taken).join('\n')}\nMove the lab to other ports with npm start -- --port-offset 1000`,
    );
  const lab = new Lab(options, plan, say);
  const stop = untilAskedToStop(say, () => lab.kill());
  await claimDataFolder(plan);
  try {
    const endpoints = await lab.start(stop.signal);
    const screen = readyScreen(plan, endpoints, options.data, isAwaited());
    say(screen);
    announceReady(screen);
    await stop.asked;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    await lab.stop();
    releaseDataFolder(plan);
    stop.done();
  }
  say('Stopped.');
}

function shorten(lines: readonly string[]): string[] {
  const more = lines.length - SHOWN_PORTS;
  return more > 0 ? [...lines.slice(0, SHOWN_PORTS), `and ${more} more`] : [...lines];
}

/** In words for the user: an obstacle as it is, an error of the catalogue with its details and remedy, the rest with its stack. */
function describe(error: unknown): string {
  if (error instanceof LastcallError) {
    const details = Object.entries(error.details).map(([name, value]) => `  ${name}: ${String(value)}`);
    return [`${error.code}: ${error.message}`, ...details, `  ${ERRORS[error.code].remedy}`].join('\n');
  }
  const expected = error instanceof UsageError || error instanceof Obstacle;
  return expected ? (error as Error).message : inspect(error);
}
