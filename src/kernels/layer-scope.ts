/** Which part of a step kernels are run for, told to whoever makes profiles of them. */

let current = '';

/** What is run from now on is for this, e.g. a layer. */
export function enterScope(name: string): void {
  current = name;
}

export function currentScope(): string {
  return current;
}
