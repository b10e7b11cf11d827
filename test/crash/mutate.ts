/** Loaded before everything else (`--import`): makes this process the mutant that SHIBUMI_TEST_MUTANT names. */

import { registerHooks } from 'node:module';
import { chosenMutant, mutated } from './mutants.ts';

const mutant = chosenMutant();
if (mutant !== undefined)
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(`/src/${mutant.file}`) || loaded.source == null) return loaded;
      return { ...loaded, source: mutated(mutant, Buffer.from(loaded.source as Uint8Array).toString()) };
    },
  });
