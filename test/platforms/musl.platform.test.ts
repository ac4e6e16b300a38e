/**
 * The libraries for musl, loaded by its own loader into a program that has Node-API's functions as empty ones. npm has no Node for musl.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nativeFiles } from '../../src/core/machine/native-files.ts';
import { packageFolder, ROOT } from './released.ts';

const LOADER = process.env['BNN_MUSL'] ?? '/lib/ld-musl-x86_64.so.1';
const OBJECTS = join(ROOT, 'build/release/linux-x64-musl/objects');
const folder = packageFolder('linux-x64-musl');

const missing = [
  [LOADER, 'musl is not installed (Debian: musl)'],
  [join(folder, 'build.json'), 'release/packages/linux-x64-musl is not made'],
  [OBJECTS, 'release/ was made elsewhere'],
].find(([path]) => !existsSync(String(path)))?.[1];

/** Without the headers and start files of musl, which few machines have beside its loader. */
const HOST = `
int __libc_start_main(int (*)(int, char**), int, char**, void*, void*, void*);
void* dlopen(const char*, int);
void* dlsym(void*, const char*);
char* dlerror(void);
int printf(const char*, ...);
#define NULL ((void*)0)
#define RTLD_NOW 2
static int calls;
#define BNN_POINTER(name) int name(void) { calls++; return 0; }
#include "node_api_functions.h"
static int run(int count, char** paths) {
  for (int i = 1; i < count; i++) {
    void* library = dlopen(paths[i], RTLD_NOW);
    if (library == NULL) return printf("%s\\n", dlerror()), 1;
    void* (*start)(void*, void*) = (void* (*)(void*, void*))dlsym(library, "napi_register_module_v1");
    void* exports = &calls;
    if (start != NULL) printf("%d ", start(NULL, exports) == exports);
    else printf("%d ", dlsym(library, "RegisterCustomOps") != NULL);
  }
  return printf("%d\\n", calls), 0;
}
void begin(long* stack) { __libc_start_main(run, (int)stack[0], (char**)(stack + 1), NULL, NULL, NULL); }
__asm__(".globl _start\\n_start: xor %ebp, %ebp\\n mov %rsp, %rdi\\n and $-16, %rsp\\n call begin");
`;

it.skipIf(missing !== undefined)(
  `the libraries for musl load and start${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    const work = join(ROOT, 'build/platforms/musl');
    mkdirSync(work, { recursive: true });
    const [source, program] = [join(work, 'host.c'), join(work, 'host')];
    writeFileSync(source, HOST);
    execFileSync('cc', ['-nostdlib', '-fno-builtin', '-rdynamic', `-I${OBJECTS}`, source, LOADER, '-o', program]);
    const libraries = Object.values(nativeFiles('linux')).map((name) => join(folder, name));
    const run = spawnSync(LOADER, [program, ...libraries], { encoding: 'utf8' });
    expect(run.status, run.stdout + run.stderr).toBe(0);
    const [training, session, operators, calls] = run.stdout.trim().split(' ').map(Number);
    expect([training, session, operators]).toEqual([1, 1, 1]);
    // Each function of the addons is defined with two calls or more.
    expect(calls).toBeGreaterThan(60);
  },
);
