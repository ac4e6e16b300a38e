#!/usr/bin/env node
import { runCli } from './run-cli.ts';

await runCli('bnn-predict', process.argv.slice(2));
