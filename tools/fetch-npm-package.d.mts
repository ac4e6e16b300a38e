export function fetchNpmPackage(
  from: { readonly name: string; readonly version: string; readonly integrity: string },
  folder: string,
): string;
