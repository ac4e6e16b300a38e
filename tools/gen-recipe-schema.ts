/**
 * Writes models/recipe.schema.json from the table of recipe fields.
 *
 *     npx tsx tools/gen-recipe-schema.ts            writes the file
 *     npx tsx tools/gen-recipe-schema.ts --check    exits with 1 when the file differs from what would be written
 */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/core/files/atomic-file-io.ts';
import { recipeSchema } from '../src/training/recipes/recipe-schema.ts';

const SCHEMA = fileURLToPath(new URL('../models/recipe.schema.json', import.meta.url));

const text = `${JSON.stringify(recipeSchema(), null, 2)}\n`;
if (process.argv.includes('--check')) {
  const current = await readFile(SCHEMA, 'utf8').catch(() => '');
  // Compared as JSON: the formatter of this project has its own layout.
  if (current === '' || JSON.stringify(JSON.parse(current)) !== JSON.stringify(JSON.parse(text))) {
    console.error('models/recipe.schema.json is out of date; run: npx tsx tools/gen-recipe-schema.ts');
    process.exitCode = 1;
  }
} else {
  await writeFileAtomic(SCHEMA, text);
}
