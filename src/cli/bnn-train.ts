#!/usr/bin/env node
import { runCli } from './run-cli.ts';

await runCli('bnn-train', process.argv.slice(2));
