// What `npm start`, `npm test`, `npm run bench` and `npm run chaos` run: plain Node without dependencies, because it
// is what installs them. First the Node version, before anything that an old one could not even parse.
import { readFileSync } from 'node:fs';

const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const [needed, running] = [engines.node, process.versions.node].map((text) => text.match(/\d+/g).map(Number));
if (running[0] < needed[0] || (running[0] === needed[0] && running[1] < needed[1])) {
  console.error(
    `Lastcall needs Node ${engines.node}; this is ${process.versions.node} (${process.execPath}).`,
  );
  console.error(
    'Debian: https://deb.nodesource.com or nvm; Fedora: dnf install nodejs; macOS: brew install node',
  );
  process.exit(1);
}

const { runVerb } = await import('./bootstrap/verbs.mjs');
await runVerb(process.argv[2], process.argv.slice(3));
