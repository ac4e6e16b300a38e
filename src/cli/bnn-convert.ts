#!/usr/bin/env node
import { runCli } from './run-cli.ts';

await runCli('bnn-convert', process.argv.slice(2));
