import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tickets, ticketLifeMs } from '../../src/server/tickets.ts';

test('a ticket is good once, and not for long', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
  const tickets = new Tickets();
  const used = tickets.issue('token of ann');
  assert.equal(tickets.redeem(used), 'token of ann');
  assert.equal(tickets.redeem(used), undefined, 'once');
  const [quick, late] = [tickets.issue('a'), tickets.issue('b')];
  t.mock.timers.tick(ticketLifeMs - 1);
  assert.equal(tickets.redeem(quick), 'a');
  t.mock.timers.tick(1);
  assert.equal(tickets.redeem(late), undefined, 'it has expired');
  assert.equal(tickets.redeem('made up'), undefined);
  assert.equal(tickets.redeem(''), undefined);
});

test('tickets that nobody uses do not pile up, and the oldest go first', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
  const tickets = new Tickets();
  const first = tickets.issue('first');
  const second = tickets.issue('second');
  for (let i = 0; i < 9_999; i++) tickets.issue(String(i));
  assert.equal(tickets.redeem(first), undefined);
  assert.equal(tickets.redeem(second), 'second');
});
