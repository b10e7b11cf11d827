// What the real ShibuDB server was asked and answered (../shared/protocols), asked of ours. Every answer must be the same, but for
// the differences listed below: faults of the real server that are not copied, and what this one does besides. A difference
// that is not on the list fails; so does a reason on the list that nothing needs.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { RawClient, admin as root, served } from './served.ts';

const folder = path.resolve(import.meta.dirname, '../../../shared/protocols/shibudb');
const isMissing = existsSync(folder) ? false : `the recordings are not there: ${folder}`;
const admin = { username: 'admin', password: 'admin' };

interface Exchange {
  readonly request?: string;
  readonly response: string;
  readonly note?: string;
}

interface Compared {
  readonly request: string;
  readonly note: string;
  readonly real: string;
  readonly ours: string;
}

/** What the real server took "12abc", " 77" and vectors with NaN and Inf for. */
const refusedIds = ['12', '77', '21', '22', '23', '26'];

/** Why an answer differs, if it may: by what was asked, what the real server answered, and what is right instead. */
const differences: readonly { reason: string; holds: (compared: Compared) => boolean }[] = [
  {
    reason: 'the spaces of another history, and quotes in their names that are not escaped',
    holds: ({ request, ours }) => /LIST_SPACES/.test(request) && /"status":"OK"/.test(ours),
  },
  {
    reason: 'writes are visible, and deletes work, from their acknowledgement on',
    holds: ({ note, request, real, ours }) =>
      !/key is deleted/.test(real) &&
      /at once after|still in the batch|an unflushed key|^now$|1.3 s later|after flush/.test(note) &&
      (/"status":"OK"/.test(ours) || (/"GET"/.test(request) && /key not found/.test(ours))),
  },
  {
    reason: 'a key that was deleted in a recording before, and here is gone',
    holds: ({ request, real, ours }) =>
      /"GET","key":"a"/.test(request) && /"value":"1"/.test(real) && /key not found/.test(ours),
  },
  {
    reason: 'replacing a vector leaves no old one behind',
    holds: ({ note, real, ours }) => {
      if (!/near the (old|new) id 5/.test(note)) return false;
      const found = idsIn(ours);
      return (
        new Set(found).size === found.length &&
        [...idsIn(real)].every((id) => id === '5' || found.includes(id))
      );
    },
  },
  {
    reason: 'the best hit comes first, ties by id',
    holds: ({ real, ours }) => /InnerProduct/.test(ours) === false && isSorted(real, ours),
  },
  {
    reason: 'Lp has its power, JensenShannon no negative components, and their searches answer rightly',
    holds: ({ request, ours }) =>
      /_(Lp|JensenShannon)_/.test(request) &&
      (/^\{"message":"\[/.test(ours) || /no negative number/.test(ours)),
  },
  {
    reason: 'range searches work with every metric and on empty spaces',
    holds: ({ real, ours }) => /Error in virtual void faiss/.test(real) && /"status":"OK"/.test(ours),
  },
  {
    reason: 'an index that cannot be made is refused by its name',
    holds: ({ real, ours }) => /failed to create FAISS index/.test(real) && /is not allowed/.test(ours),
  },
  {
    reason: 'IVF alone looks through originals, and m need not divide the dimension',
    holds: ({ request, real, ours }) =>
      /"index_type":"(IVF|PQ)\d+"/.test(request) &&
      /could not parse index string|multiple of the number of subquantizers/.test(real) &&
      /SPACE_CREATED/.test(ours),
  },
  {
    reason: 'Cosine, COS, IP, bits, and every HNSW M',
    holds: ({ real, ours }) => /is not allowed/.test(real) && /SPACE_CREATED/.test(ours),
  },
  {
    reason: 'a dimension that makes no sense is refused',
    holds: ({ request, ours }) => /CREATE_SPACE/.test(request) && /for dimension, expected/.test(ours),
  },
  {
    reason: 'whether a user exists is not told to who does not sign in',
    holds: ({ real, ours }) => /user not found/.test(real) && /invalid password/.test(ours),
  },
  {
    reason: 'keys are not empty',
    holds: ({ ours }) => /Got an empty key/.test(ours),
  },
  {
    reason: 'any value may be stored',
    holds: ({ real, ours }) => /key is deleted/.test(real) && /"value":"__deleted__"/.test(ours),
  },
  {
    reason: 'JSON is well-formed, and floats are finite numbers',
    holds: ({ request, note, ours }) =>
      /invalid utf-8/.test(note) ||
      /"key":"inv"/.test(request) ||
      /^null$/.test(request) ||
      /invalid float at position \d+: \\"/.test(ours),
  },
  {
    reason: 'an id is an integer and nothing behind it',
    holds: ({ request, real, ours }) =>
      (/INSERT_VECTOR/.test(request) && /invalid vector id/.test(ours)) ||
      // The real server had put the vectors of ids "1.5" and "0x1F" there.
      (/"GET_VECTOR","key":"[01]"/.test(request) && /1.000000,2.000000,3.000000/.test(real)),
  },
  {
    reason: 'vectors that were refused are not there',
    holds: ({ request, ours }) =>
      /GET_VECTOR/.test(request) && /ID -?\d+ not found|invalid vector id/.test(ours),
  },
  {
    reason: 'nor are they found',
    holds: ({ request, real, ours }) =>
      /_SEARCH|SEARCH_/.test(request) &&
      /w_L2_Flat/.test(request) &&
      refusedIds.every((id) => !idsIn(ours).includes(id)) &&
      refusedIds.some((id) => idsIn(real).includes(id)),
  },
  {
    reason: 'one wording for a space that is not there',
    holds: ({ real, ours }) => /table space does not exist/.test(real) && /space does not exist/.test(ours),
  },
  {
    reason: 'DELETE_VECTOR, of 1.1',
    holds: ({ request, real }) => /DELETE_VECTOR/.test(request) && /unsupported query type/.test(real),
  },
  {
    reason: 'roles and permissions are those there are',
    holds: ({ ours }) => /for role, expected|for the permission for/.test(ours),
  },
  {
    reason: 'users that were refused are not there, and roles stay what they were',
    holds: ({ request, note, ours }) =>
      (/%s%d/.test(request) && /not found/.test(ours)) ||
      (/bob/.test(request + note) && /Role: admin/.test(ours)),
  },
  {
    reason: 'what is quoted in an error is escaped',
    holds: ({ note }) => /is not escaped|embeds a newline/.test(note),
  },
];

function idsIn(answer: string): string[] {
  return [...answer.matchAll(/\\"id\\": (-?\d+)/g)].map(([, id]) => id ?? '');
}

/** The same hits, and in a right order here. */
function isSorted(real: string, ours: string): boolean {
  const hitsIn = (text: string): string[] => [...text.matchAll(/\{\\"id\\": [^}]*\}/g)].map(([hit]) => hit);
  const [theirs, found] = [hitsIn(real), hitsIn(ours)];
  if (found.length === 0 || theirs.length !== found.length) return false;
  const distances = (hits: string[]): string =>
    hits
      .map((hit) => /distance\\": (.*)\}/.exec(hit)?.[1])
      .sort()
      .join();
  return distances(theirs) === distances(found);
}

/** Spaces whose kind of index is not made here; what follows on them is not compared. */
const isOtherKind = ({ request, real, ours }: Compared): boolean =>
  /CREATE_SPACE/.test(request) && /SPACE_CREATED/.test(real) && /index type .* is not allowed/.test(ours);

const spaceIn = (request: string): string | undefined => /"space":"((?:[^"\\]|\\.)*)"/.exec(request)?.[1];

/** Key order and the hash of a password do not count. */
function canonical(answer: string): string {
  const text = answer.trim().replace(/"password":"[^"]*"/, '"password":""');
  try {
    const sorted = (value: object): object =>
      Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, field]) => [
            name,
            typeof field === 'object' && field !== null ? sorted(field) : field,
          ]),
      );
    return JSON.stringify(sorted(JSON.parse(text)));
  } catch {
    return text;
  }
}

test('recorded conversations with the real server', { skip: isMissing, timeout: 110_000 }, async (t) => {
  const { portOf } = await served(t, { shibudb: 0, admin, loginsPerMinute: 100_000 });
  const open = async (): Promise<RawClient> => {
    const client = await RawClient.open(portOf('shibudb'));
    t.after(() => client[Symbol.dispose]());
    return client;
  };
  const needed = new Map<string, number>();
  const left = new Set<string>();
  let same = 0;
  const unknown: Compared[] = [];
  let elsewhere = 0;
  // Users.jsonl, restart.jsonl and extra.jsonl tell of several connections and of kills; training.jsonl of quantised distances.
  for (const name of ['auth', 'spaces', 'kv', 'vectors', 'users_admin', 'errors']) {
    const lines = readFileSync(path.join(folder, `${name}.jsonl`), 'utf8')
      .trim()
      .split('\n');
    let client = await open();
    await client.ask(`${JSON.stringify(admin)}\n`);
    if (name === 'users_admin') {
      const bob = { username: 'bob_99073', password: 'pw', role: 'user' };
      await client.ask(`${JSON.stringify({ type: 'CREATE_USER', new_user: bob })}\n`);
    }
    for (const line of lines) {
      const { request, response, note = '' } = JSON.parse(line) as Exchange;
      if (request === undefined || response === '<EOF>') continue;
      const space = spaceIn(request);
      // Bodies that were cut, and queries of a kind that is elsewhere.
      if (
        /\.\.\.<\d+ bytes>/.test(request + response) ||
        /"long\d+"/.test(request) ||
        (space !== undefined && left.has(space))
      ) {
        elsewhere++;
        continue;
      }
      const isLogin = /^\s*\{\s*"username"/i.test(request) && !/second login/.test(note);
      if (isLogin || /login (line|empty)|query before login/.test(note)) client = await open();
      const answer = await client.ask(`${request.trimEnd()}\n`);
      const ours = canonical(answer.split('\n')[0] ?? '');
      const compared = {
        request: request.trim(),
        note,
        real: canonical(response.split('\n')[0] ?? ''),
        ours,
      };
      if (ours === compared.real) same++;
      else if (isOtherKind(compared) && space !== undefined) left.add(space);
      else {
        const known = differences.find(({ holds }) => holds(compared));
        if (known === undefined) unknown.push(compared);
        else needed.set(known.reason, (needed.get(known.reason) ?? 0) + 1);
      }
    }
  }
  t.diagnostic(
    `${same} the same; ${[...needed].map(([reason, n]) => `${n}: ${reason}`).join('; ')}; ${elsewhere} left out`,
  );
  assert.deepEqual(unknown, []);
  assert.ok(same > 500, `only ${same} answers were the same`);
  for (const { reason } of differences) assert.ok(needed.has(reason), `nothing differs because ${reason}`);
});

test('metadata and filters of 1.2, on an index too', async (t) => {
  const { portOf } = await served(t, { shibudb: 0 });
  using client = await RawClient.open(portOf('shibudb'));
  const ask = async (query: object): Promise<string> =>
    JSON.parse(await client.ask(`${JSON.stringify(query)}\n`)).message;
  await ask(root);
  const fields = [
    { name: 'category', type: 'string' },
    { name: 'year', type: 'int' },
  ];
  const space = {
    engine_type: 'vector',
    dimension: 2,
    index_type: 'HNSW8',
    metric: 'L2',
    indexed_metadata_fields: fields,
  };
  assert.equal(await ask({ type: 'CREATE_SPACE', space: 'm', ...space }), 'SPACE_CREATED');
  for (let i = 0; i < 10; i++) {
    const metadata = { category: i % 2 === 0 ? 'even' : 'odd', year: 2000 + i };
    assert.equal(
      await ask({ type: 'INSERT_VECTOR', space: 'm', key: String(i), value: `${i},0`, metadata }),
      'VECTOR_INSERTED',
    );
  }
  const search = { type: 'SEARCH_TOPK', space: 'm', value: '0,0', dimension: 2 };
  const even = { op: 'eq', field: 'category', value: 'even' };
  const late = { op: 'between', field: 'year', values: [2003, 2008] };
  assert.equal(
    await ask({ ...search, filter: { op: 'and', filters: [even, late] } }),
    '[{"id": 4, "distance": 16.000000}, {"id": 6, "distance": 36.000000}]',
  );
  assert.equal(
    await ask({ ...search, filter: { op: 'not', filters: [even] } }),
    '[{"id": 1, "distance": 1.000000}, {"id": 3, "distance": 9.000000}]',
  );
  const range = { type: 'RANGE_SEARCH', space: 'm', value: '0,0', radius: 5 };
  assert.equal(
    await ask({ ...range, filter: even }),
    '[{"id": 0, "distance": 0.000000}, {"id": 2, "distance": 4.000000}]',
  );
  assert.match(await ask({ ...search, filter: { op: 'eq', field: 'colour', value: 1 } }), /"colour"/);
});

test('rights that are taken away are gone in open connections, and no hash of a password is told', async (t) => {
  const { portOf, db } = await served(t, { shibudb: 0 }, ['kv', 'other']);
  await db.createUser({ username: 'bob', password: 'pw', permissions: { kv: 'read' } });
  using bob = await RawClient.open(portOf('shibudb'));
  const ask = async (query: object): Promise<{ status: string; message?: string; value?: string }> =>
    JSON.parse(await bob.ask(`${JSON.stringify(query)}\n`));
  assert.deepEqual(await ask({ username: 'bob', password: 'pw' }), {
    status: 'OK',
    user: { username: 'bob', password: '', role: 'user', permissions: { kv: 'read' } },
  });
  const message = async (query: object): Promise<string | undefined> => (await ask(query)).message;
  assert.equal(await message({ type: 'GET', space: 'kv', key: 'k' }), 'key not found');
  assert.equal(await message({ type: 'PUT', space: 'kv', key: 'k', value: 'v' }), 'write permission denied');
  assert.equal(await message({ type: 'GET', space: 'other', key: 'k' }), 'read permission denied');
  assert.equal(await message({ type: 'LIST_SPACES' }), 'admin access required');
  assert.equal(
    await message({ type: 'CREATE_USER', new_user: { username: 'h' } }),
    'only admin can create users',
  );
  assert.equal(await message({ type: 'DELETE_SPACE', data: 'kv' }), 'only admin can delete spaces');
  await db.updateUserPermissions('bob', { kv: 'write' });
  assert.equal(await message({ type: 'PUT', space: 'kv', key: 'k', value: 'v"\n' }), 'OK');
  assert.deepEqual(await ask({ type: 'GET', space: 'kv', key: 'k' }), { value: 'v"\n', status: 'OK' });
  await db.updateUserPermissions('bob', {});
  assert.equal(await message({ type: 'GET', space: 'kv', key: 'k' }), 'read permission denied');
  await db.deleteUser('bob');
  assert.equal(await bob.closed(), '', 'the connection ends with the user');
  using wrong = await RawClient.open(portOf('shibudb'));
  wrong.send('{"username":"bob","password":"pw"}\n{"type":"LIST_SPACES"}\n');
  assert.equal(
    await wrong.closed(),
    '{"status":"ERROR","message":"invalid password"}\n',
    'and the connection ends',
  );
});
