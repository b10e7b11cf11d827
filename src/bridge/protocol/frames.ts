/**
 * Frames: what a WebSocket message of the bridge is a sequence of. Each begins at a multiple of 8 bytes with a header of 16:
 *
 *   type u8, flags u8, reserved u16 = 0, bytes u32 (header included, padding not), id u32, tail_at u32 (0: no tail)
 *
 * little-endian; then values (value-writer.ts), and padding with zeros to the next multiple of 8.
 */

import { malformed, type ReadOptions, ValueReader } from './value-reader.ts';
import { alignTo8, ValueWriter } from './value-writer.ts';

export const headerBytes = 16;

export const FrameType = {
  /** Client, first: what it speaks and who it is. */
  Hello: 1,
  /** Server's answer: what both speak from here on, limits, the session. */
  Welcome: 2,
  /** `id`, method, arguments. */
  Call: 3,
  /** A call's result. */
  Reply: 4,
  /** A call's failure; with id 0 the connection's, which ends. */
  Error: 5,
  /** How far a call has come. */
  Progress: 6,
  /** Give the call `id` up. */
  Cancel: 7,
  /** A piece of a frame larger than a message may be; `id` is the frame's. */
  Part: 8,
  /** `id` more bytes may be sent. */
  Credit: 9,
  /** Every call below `id` has been settled: its outcome need not be kept. */
  Settled: 10,
  Ping: 11,
  Pong: 12,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const CallFlag = {
  /** The caller wants Progress frames. */
  Progress: 1,
  /** The frame may have been sent before, on a connection that broke. */
  Again: 2,
} as const;

/** The last Part of a frame. */
export const lastPart = 1;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly tailAt: number;
  /** Header, values and tails, without padding. */
  readonly bytes: Uint8Array;
}

const writer: ValueWriter = new ValueWriter();

/** A frame of its own buffer, padded. @throws INVALID_ARGUMENT for values that cannot be sent */
export function encodeFrame(
  type: FrameType,
  id: number,
  flags = 0,
  ...values: readonly unknown[]
): Uint8Array<ArrayBuffer> {
  writer.start(headerBytes);
  for (const value of values) writer.write(value);
  const { frame, end, tailAt } = writer.finish();
  writeHeader(frame, { type, flags, end, id, tailAt });
  return frame;
}

/** Sets a flag in a frame that was encoded before. */
export function setFlag(frame: Uint8Array, flag: number): void {
  frame[1] = (frame[1] as number) | flag;
}

/** The pieces of `frame` as frames of at most `frameBytesMax`. */
export function* partsOf(frame: Uint8Array, frameBytesMax: number): Generator<Uint8Array<ArrayBuffer>> {
  const id = new DataView(frame.buffer, frame.byteOffset).getUint32(8, true);
  const step = frameBytesMax - headerBytes;
  for (let at = 0; at < frame.length; at += step) {
    const piece = frame.subarray(at, at + step);
    const end = headerBytes + piece.length;
    const part = new Uint8Array(alignTo8(end));
    const flags = at + step >= frame.length ? lastPart : 0;
    writeHeader(part, { type: FrameType.Part, flags, end, id, tailAt: 0 });
    part.set(piece, headerBytes);
    yield part;
  }
}

function writeHeader(
  frame: Uint8Array,
  { type, flags, end, id, tailAt }: { type: number; flags: number; end: number; id: number; tailAt: number },
): void {
  const view = new DataView(frame.buffer, frame.byteOffset, headerBytes);
  view.setUint8(0, type);
  view.setUint8(1, flags);
  view.setUint32(4, end, true);
  view.setUint32(8, id, true);
  view.setUint32(12, tailAt, true);
}

/** The frames of a message, in place. @throws PROTOCOL_ERROR */
export function* framesOf(message: Uint8Array): Generator<Frame> {
  if (message.length === 0) throw malformed('a message is empty');
  let at = 0;
  while (at < message.length) {
    const frame = frameAt(message, at);
    yield frame;
    at += alignTo8(frame.bytes.length);
  }
}

/** One frame, which begins at `at`. @throws PROTOCOL_ERROR */
export function frameAt(message: Uint8Array, at: number): Frame {
  if (message.length - at < headerBytes) throw malformed('it ends in the middle of a header');
  const view = new DataView(message.buffer, message.byteOffset + at, headerBytes);
  const end = view.getUint32(4, true);
  const tailAt = view.getUint32(12, true);
  if (view.getUint16(2, true) !== 0) throw malformed('reserved bytes are not zero');
  if (end < headerBytes || end > message.length - at) throw malformed(`its length is ${end} bytes`);
  if (tailAt !== 0 && (tailAt < headerBytes || tailAt > end || tailAt % 8 !== 0))
    throw malformed(`its tail is at ${tailAt}`);
  return {
    type: view.getUint8(0),
    flags: view.getUint8(1),
    id: view.getUint32(8, true),
    tailAt,
    bytes: message.subarray(at, at + end),
  };
}

/** The `count` values of a frame. @throws PROTOCOL_ERROR */
export function valuesOf(frame: Frame, count: number, options?: ReadOptions): unknown[] {
  const reader = new ValueReader(frame.bytes, headerBytes, frame.tailAt, options);
  const values: unknown[] = [];
  for (let i = 0; i < count; i++) values.push(reader.read());
  reader.finish();
  return values;
}
