/**
 * Two, three and eight tabs that read and write the same keys while tabs, the owner's above all, are killed, stopped by a
 * signal, frozen, closed and reloaded at random moments. Every key's history is linearizable: no acknowledged write is lost,
 * none happens twice, no read is stale; and no call fails, save with an outcome that is unknown.
 *
 * Here each takes a few blows; `npm run test:tabs -- --blows 300` deals out more.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Chromium, missingPart } from '../support/chromium.ts';
import { Random } from '../support/random.ts';
import { TabCampaign } from '../support/tab-campaign.ts';
import { type PageServer, serveTestPage } from '../support/test-page.ts';

const seed = Number(process.env.SHIBUMI_TEST_SEED ?? Date.now() % 2 ** 31);
const blows = Number(process.env.SHIBUMI_TEST_TABS_BLOWS ?? 3);
const skip =
  missingPart() ?? (process.platform === 'linux' ? false : 'only Linux tells which process renders a page');
let server: PageServer;

before(async () => {
  if (!skip) server = await serveTestPage();
});
after(() => server?.close());

for (const { tabs, without, callersPerTab } of [
  { tabs: 2, without: '', callersPerTab: 3 },
  { tabs: 3, without: 'SharedWorker', callersPerTab: 2 },
  { tabs: 8, without: '', callersPerTab: 2 },
])
  test(`${tabs} tabs${without === '' ? '' : ` without ${without}`}: histories are linearizable, whatever happens to the owner`, {
    skip,
    timeout: 300_000 + blows * 10_000,
  }, async (t) => {
    t.diagnostic(`SHIBUMI_TEST_SEED=${seed}`);
    const browser = await Chromium.launch();
    try {
      const campaign = new TabCampaign(browser, {
        url: server.url,
        tabs,
        callersPerTab,
        blows,
        random: new Random(seed + tabs),
        without,
        ownerTimeoutMs: 1000,
      });
      const { faults, ...facts } = await campaign.run();
      t.diagnostic(JSON.stringify(facts));
      assert.deepEqual(faults, []);
      assert.ok(facts.epoch > 2, `there were only ${facts.epoch} owners`);
    } finally {
      await browser.discard();
    }
  });
