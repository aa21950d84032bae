// Writes the dashboards into the folder that is named, or says which of them are not what they would be.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contest } from './contest';
import { pipeline } from './pipeline';

const [folder, mode] = process.argv.slice(2);
if (!folder || (mode !== undefined && mode !== '--check')) {
  console.error('usage: node main.js FOLDER [--check]');
  process.exit(2);
}

for (const [name, dashboard] of Object.entries({ contest, pipeline })) {
  const file = join(folder, `${name}.json`);
  const text = JSON.stringify(dashboard, null, 2) + '\n';
  if (mode === undefined) {
    writeFileSync(file, text);
  } else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is stale: run config/grafana/build/build`);
    process.exitCode = 1;
  }
}
