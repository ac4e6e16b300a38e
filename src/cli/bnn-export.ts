#!/usr/bin/env node
import { runCli } from './run-cli.ts';

await runCli('bnn-export', process.argv.slice(2));
