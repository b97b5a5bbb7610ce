/** What `npm start` runs where there is no Electron. The same as `lutra serve`. */
import { runCli } from './cli/program.ts';

await runCli(['serve', ...process.argv.slice(2)], import.meta.dirname);
