#!/usr/bin/env node
/** The command `shibumi`. */

import { main } from './cli/main.ts';
import { open } from './node.ts';

await main(process.argv.slice(2), open);
