#!/usr/bin/env node
import { runCli } from './run-cli.ts';

await runCli('bnn-validate', process.argv.slice(2));
