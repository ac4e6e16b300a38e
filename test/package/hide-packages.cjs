/**
 * Loaded before a command: packages whose names match BNN_TEST_HIDDEN are not found, as if they were not installed. When the process
 * ends, BNN_TEST_LOADED gets the paths of the CommonJS modules that were loaded: those of tfjs and onnxruntime are.
 */

const { writeFileSync } = require('node:fs');
const Module = require('node:module');

const hidden = new RegExp(process.env.BNN_TEST_HIDDEN || '$^');
const original = Module._resolveFilename;
Module._resolveFilename = function resolve(name, ...rest) {
  if (hidden.test(name)) throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
  return original.call(this, name, ...rest);
};
const loader = `
  export async function resolve(name, context, next) {
    if (${hidden}.test(name)) throw Object.assign(new Error("Cannot find package '" + name + "'"), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(name, context);
  }`;
Module.register(`data:text/javascript,${encodeURIComponent(loader)}`);

const list = process.env.BNN_TEST_LOADED;
if (list) process.on('exit', () => writeFileSync(list, Object.keys(Module._cache).join('\n')));
