// Writes down what the build was made from and what came out, so that a test can tell when they disagree.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = '.';
const BUILT = '../../graph/static/graphiql';

function digests(folder, ignored) {
  const files = readdirSync(folder, { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.split('/')[0] !== ignored && statSync(join(folder, path)).isFile());
  const digest = (path) => createHash('sha256').update(readFileSync(join(folder, path))).digest('hex');
  return Object.fromEntries(files.sort().map((path) => [path, digest(path)]));
}

const manifest = { sources: digests(SOURCES, 'node_modules'), built: digests(BUILT, 'manifest.json') };
writeFileSync(join(BUILT, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
