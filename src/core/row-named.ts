/** Rows of a table by their names. */

/** The names are those that a recipe was checked for, so that one that is missing is a bug. */
export function rowNamed<R extends { readonly name: string }>(rows: readonly R[], name: string): R {
  const row = rows.find((it) => it.name === name);
  if (row === undefined) throw new Error(`internal: no row "${name}" among ${rows.map((it) => it.name).join(', ')}`);
  return row;
}

export function namesOf(rows: readonly { readonly name: string }[]): string[] {
  return rows.map(({ name }) => name);
}
