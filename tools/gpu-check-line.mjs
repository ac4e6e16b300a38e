/** A step of tools/gpu-check.sh as one line: `gpu-check-line.mjs NAME STATUS SECONDS STDOUT STDERR`. */

import { readFileSync } from 'node:fs';

const [name, status, seconds, out, err] = process.argv.slice(2);
const text = readFileSync(out, 'utf8');
const MOST_TEXT = 4000;

const events = text.split('\n').flatMap((line) => {
  if (!line.startsWith('{')) return [];
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
});
// What is no JSON is short, or not of interest.
const rest = text.split('\n').filter((line) => !line.startsWith('{'));
const report = {
  step: name,
  status: status === '0' ? 'ok' : status === '124' ? 'timeout' : `exit ${status}`,
  seconds: Number(seconds),
  events,
  text: rest.join('\n').slice(-MOST_TEXT),
  errors: readFileSync(err, 'utf8').slice(-MOST_TEXT),
};
console.log(JSON.stringify(report));
