// What is no protocol: samples of each that are right, and what a seeded random makes of them.

import { encodeFrame, FrameType } from '../../src/bridge/protocol/frames.ts';
import { subprotocol } from '../../src/bridge/protocol/hello.ts';
import type { Random } from '../support/random.ts';

/** Cut, flipped, doubled, spliced with others; never the same for two seeds. */
export function mutated(random: Random, samples: readonly Buffer[]): Buffer {
  let bytes: Buffer = Buffer.from(random.pick(samples));
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(bytes.length + 1);
    switch (random.below(6)) {
      case 0:
        bytes = bytes.subarray(0, at);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.below(256);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(20)), bytes.subarray(at)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), random.pick(samples).subarray(random.below(8))]);
        break;
      case 4:
        if (at + 4 <= bytes.length)
          bytes.writeUInt32LE(random.pick([0, 1, 0x7fffffff, 0xffffffff, random.bits()]), at);
        break;
      default:
        bytes = Buffer.from(
          bytes.toString('latin1').replace(/\d+/, String(random.pick([-1, 0, 1e6, 2 ** 31, 1e15]))),
          'latin1',
        );
    }
  }
  return bytes;
}

const lines = (...texts: string[]): Buffer[] => texts.map((text) => Buffer.from(text));

export const respSamples: readonly Buffer[] = lines(
  '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n',
  '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n',
  '*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$3\r\n100\r\n',
  '*1\r\n$4\r\nPING\r\n',
  '*4\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nMATCH\r\n$8\r\n[a-\\]*?*x\r\n',
  '*7\r\n$4\r\nVADD\r\n$1\r\nv\r\n$6\r\nVALUES\r\n$1\r\n2\r\n$1\r\n1\r\n$3\r\n0.5\r\n$1\r\ne\r\n',
  '*6\r\n$4\r\nVSIM\r\n$1\r\nv\r\n$3\r\nELE\r\n$1\r\ne\r\n$5\r\nCOUNT\r\n$1\r\n5\r\n',
  '*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n',
  'SET "a b" \'c\' EX 10\r\n',
  'INCRBY n 5\r\nMGET a b c\r\nKEYS *\r\n',
  '*-1\r\n*0\r\n',
  'VADD v VALUES 2 1 2 e SETATTR \'{"a":[1,{"b":null}]}\'\r\n',
  'VSIM v ELE e FILTER \'.a > 1 and ("x" in .b or not .c == 2 ** -3)\' WITHATTRIBS\r\n',
  'VSETATTR v e {}\r\nVGETATTR v e\r\n',
);
export const shibuSamples: readonly Buffer[] = lines(
  '{"type":"PUT","space":"default","key":"k","value":"v"}\n',
  '{"type":"GET","space":"default","key":"k"}\n',
  '{"type":"INSERT_VECTOR","space":"v","key":"1","value":"1,2"}\n',
  '{"type":"SEARCH_TOPK","space":"v","value":"1,2","dimension":3}\n',
  '{"type":"CREATE_SPACE","space":"x","engine_type":"vector","dimension":3,"index_type":"Flat","metric":"L2"}\n',
  '{"type":"CREATE_USER","new_user":{"username":"u","password":"p","permissions":{"default":"read"}}}\n',
  '{"type":"GET_USER","data":"nobody"}\n',
  '[[[[{"type":null}]]]]\n',
);
export const nubSamples: readonly Buffer[] = lines(
  'SET k "a b" 10\n',
  'GET k\n',
  'DELETE k\n',
  'INCR n\n',
  'SIZE\n',
  'EXISTS "\n',
  'AUTH mallory x\n',
);
export const frameSamples: readonly Buffer[] = [
  encodeFrame(FrameType.Call, 1, 0, 'put', { space: 'default', key: 'k', value: 'v' }),
  encodeFrame(FrameType.Call, 2, 1, 'get', { space: 'default', key: 'k' }),
  encodeFrame(FrameType.Call, 3, 0, 'searchTopK', { space: 'v', query: new Float32Array(8), k: 3 }),
  encodeFrame(FrameType.Call, 4, 0, 'insertVectors', {
    space: 'v',
    ids: [1, 2n],
    vectors: new Float32Array(4),
  }),
  encodeFrame(FrameType.Call, 5, 0, 'listSpaces', {}),
  encodeFrame(FrameType.Cancel, 3, 0),
  encodeFrame(FrameType.Settled, 9, 0),
  encodeFrame(FrameType.Ping, 0, 0),
].map((frame) => Buffer.from(frame));

const authorization = `Basic ${Buffer.from('mallory:pw').toString('base64')}`;
const upgrade = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n`;
export const upgradeRequest: Buffer = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`);
export const httpSamples: readonly Buffer[] = lines(
  'GET /health HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n',
  `POST /ticket HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 0\r\n\r\n`,
  `GET /limit HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`,
  `PUT /limit HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 13\r\n\r\n{"limit":2000}`,
  `PUT /limit HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{"limit":1000}\r\n0\r\n\r\n`,
  'OPTIONS /ticket HTTP/1.1\r\nHost: a\r\nOrigin: https://elsewhere.example\r\n\r\n',
  `GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://elsewhere.example\r\n${upgrade}\r\n`,
  `GET / HTTP/1.1\r\nHost: a\r\n${upgrade.replace(subprotocol, `${subprotocol}, ticket.AAAA`)}\r\n`,
);

/** As RFC 6455 frames a client's message: the first bytes say its kind and length, then comes the mask. */
function webSocketFrame(opcode: number, payload: Uint8Array): Buffer {
  const length = payload.length;
  const head = length < 126 ? Buffer.alloc(6) : Buffer.alloc(8);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | Math.min(length, 126);
  if (length >= 126) head.writeUInt16BE(length, 2);
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head, payload]);
}

const [text, binary, close, ping] = [1, 2, 8, 9];
export const webSocketSamples: readonly Buffer[] = [
  ...frameSamples.map((frame) => webSocketFrame(binary, frame)),
  webSocketFrame(text, Buffer.from('{"type":"GET"}')),
  webSocketFrame(close, Buffer.from([3, 232])),
  webSocketFrame(ping, Buffer.from('are you there')),
  webSocketFrame(binary, Buffer.alloc(400)),
];
