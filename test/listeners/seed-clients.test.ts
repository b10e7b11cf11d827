// The seeds' own client programs, written from their transcripts in the language of their authors: they work unchanged.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { missing } from '../support/debian.ts';
import { admin, served } from './served.ts';

const python = '/usr/bin/python3';
const options = { skip: missing(python, 'python3'), timeout: 110_000 };

/** What the program told of each step. */
async function play(...args: string[]): Promise<[string, unknown][]> {
  const child = spawn(python, [path.join(import.meta.dirname, 'seed_clients.py'), ...args]);
  let [told, complaint] = ['', ''];
  child.stdout.on('data', (chunk) => {
    told += chunk;
  });
  child.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(status, 0, `${told}\n${complaint}`);
  return told
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('the client of ShibuDB', options, async (t) => {
  const { portOf } = await served(t, { shibudb: 0, loginsPerMinute: 1000 });
  assert.deepEqual(await play('shibudb', String(portOf('shibudb')), admin.username, admin.password), [
    ['login', ['admin', '']],
    ['create', 'SPACE_CREATED'],
    ['create again', 'refused: space already exists'],
    ['use', 'SPACE_CHANGED'],
    ['get', 'value 7, ü and "quotes"'],
    ['delete', 'DELETED'],
    ['gone', 'refused: key not found'],
    ['create vectors', 'SPACE_CREATED'],
    [
      'topk',
      [
        { id: 2, distance: 0.04 },
        { id: 3, distance: 0.64 },
        { id: 1, distance: 1.44 },
      ],
    ],
    [
      'range',
      [
        { id: 2, distance: 0 },
        { id: 1, distance: 1 },
        { id: 3, distance: 1 },
      ],
    ],
    ['vector', '4.000000,0.000000,0.000000'],
    ['wrong dimension', 'refused: vector dimension mismatch: expected 3, got 2'],
    ['spaces', ['kv', 'points']],
    ['create user', 'USER_CREATED'],
    ['user', 'Username: reader | Role: user | Permissions: kv=read'],
    ['reads', 'value 8, ü and "quotes"'],
    ['may not write', 'refused: write permission denied'],
    ['may not list', 'refused: admin access required'],
    ['delete user', 'USER_DELETED'],
    ['shut out', 'refused: invalid password'],
    ['delete space', 'SPACE_DELETED'],
  ]);
});

test('the class of NubDB, on the port of Redis', options, async (t) => {
  const { portOf } = await served(t, { resp: 0, guest: admin.username });
  assert.deepEqual(await play('nubdb', String(portOf('resp'))), [
    ['set', 'OK'],
    ['get', 'Alice'],
    ['set words', 'OK'],
    ['get words', 'New York'],
    ['missing', null],
    ['counter', 'OK'],
    ['incr', 101],
    ['decr', 100],
    ['exists', [1, 0]],
    ['expires', ['OK', 1000]],
    ['delete', [1, 0]],
    ['size', 3],
    ['unknown', "refused: ERR unknown command 'NONSENSE', with args beginning with: "],
    ['clear', ['OK', 0]],
    ['quit', 'OK'],
    ['closed', ''],
  ]);
});
