/**
 * One end of a connection: packs outgoing frames into messages, keeps to the credit that the other end gave, and gives
 * credit back for what has been worked off here.
 *
 * Credit is counted in bytes, because `bufferedAmount` and TCP's windows only tell what has left this process, not what the
 * other end still has to do. Both ends begin with the *window* that the hello told; a frame costs its bytes and
 * `frameCost`, so that a million tiny calls are not free. A frame goes out while there is any credit, which may then
 * be overdrawn by that one frame: no window is too small for a frame. Control frames (credit, cancel, heartbeat) cost
 * nothing and go first.
 *
 * A frame larger than a message may be goes as parts. Credit for parts comes back as they are put together, so that a
 * frame may be larger than the window; while such a frame is being worked off, the parts of the next one wait.
 */

import { Assembler } from './assembler.ts';
import { encodeFrame, type Frame, FrameType, framesOf, partsOf } from './frames.ts';
import { malformed } from './value-reader.ts';
import { alignTo8 } from './value-writer.ts';

export interface LinkOptions {
  /** Sends a message; the bytes are not touched afterwards. */
  readonly send: (message: Uint8Array<ArrayBuffer>) => void;
  /** Runs the argument soon: what is pushed until then travels together. */
  readonly schedule: (flush: () => void) => void;
  /** The largest message, both ways. */
  readonly messageBytesMax: number;
  /** The largest frame that is taken in parts. */
  readonly frameBytesMax: number;
  /** The credit this end gives at the beginning. */
  readonly window: number;
}

/** What a frame has to be given back as once it is worked off. */
export interface Receipt {
  readonly cost: number;
  readonly inParts: boolean;
}

/** Credit that is left for sending, and credit that is still to be given back: all there is to know of a link at rest. */
export interface LinkBalance {
  readonly credit: number;
  readonly returning: number;
}

const frameCost = 64;
/** Both ends must come to the same sum, and only one of them sees the padding. */
const costOf = (frame: Uint8Array): number => alignTo8(frame.length) + frameCost;

interface Outgoing {
  readonly id: number;
  /** What is still to be sent of it: the frame, or its parts. */
  readonly pieces: Iterator<Uint8Array<ArrayBuffer>>;
  next: Uint8Array<ArrayBuffer> | undefined;
  begun: boolean;
}

export class FrameLink {
  readonly #options: LinkOptions;
  readonly #assembler: Assembler;
  #credit = 0;
  #queue: Outgoing[] = [];
  #queuedBytes = 0;
  #control: Uint8Array<ArrayBuffer>[] = [];
  #scheduled = false;
  /** Received and not yet given back; what will be given back with the next credit frame; held back with the parts. */
  #outstanding = 0;
  #returning = 0;
  #deferred = 0;
  #inPartsBytes = 0;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#assembler = new Assembler(options.frameBytesMax);
  }

  /** Its balance while nothing is under way either way, so that another link can go on with the connection. */
  get atRest(): LinkBalance | undefined {
    const isQuiet =
      this.#queue.length === 0 &&
      this.#control.length === 0 &&
      this.#outstanding === 0 &&
      this.#inPartsBytes === 0 &&
      this.#assembler.id === undefined;
    return isQuiet && !this.#closed ? { credit: this.#credit, returning: this.#returning } : undefined;
  }

  /** Goes on where a link at rest stood. */
  resume({ credit, returning }: LinkBalance): void {
    this.#credit = credit;
    this.#returning = returning;
  }

  // --- sending ----------------------------------------------------------------------------------------------------

  /** Bytes that wait for credit. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get hasCredit(): boolean {
    return this.#credit > 0;
  }

  /** The credit that the other end's hello told, or gave. */
  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#queue.length > 0) this.#schedule();
  }

  /** Sends a frame as soon as there is credit, behind those pushed before. */
  push(frame: Uint8Array<ArrayBuffer>, id: number): void {
    const { messageBytesMax } = this.#options;
    const pieces = frame.length <= messageBytesMax ? [frame].values() : partsOf(frame, messageBytesMax);
    this.#queue.push({ id, pieces, next: pieces.next().value ?? undefined, begun: false });
    this.#queuedBytes += frame.length;
    this.#schedule();
  }

  /** Sends a frame that costs nothing, before all that wait. */
  control(frame: Uint8Array<ArrayBuffer>): void {
    this.#control.push(frame);
    this.#schedule();
  }

  /** Takes back what has not been sent of frame `id`. Tells whether nothing of it was sent. */
  withdraw(id: number): boolean {
    const at = this.#queue.findIndex((outgoing) => outgoing.id === id);
    const outgoing = this.#queue[at];
    if (outgoing === undefined) return false;
    this.#queue.splice(at, 1);
    for (let piece = outgoing.next; piece !== undefined; piece = outgoing.pieces.next().value ?? undefined)
      this.#queuedBytes -= piece.length;
    if (this.#queue.length === 0) this.#queuedBytes = 0;
    return !outgoing.begun;
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#control = [];
    this.#queuedBytes = 0;
    this.#assembler.drop();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#options.schedule(() => {
      this.#scheduled = false;
      if (!this.#closed) this.flush();
    });
  }

  /** Sends now whatever may be sent. */
  flush(): void {
    let frames = this.#control;
    this.#control = [];
    let bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    let taken = 0;
    for (; taken < this.#queue.length && this.#credit > 0; ) {
      const outgoing = this.#queue[taken] as Outgoing;
      const piece = outgoing.next;
      if (piece !== undefined) {
        if (bytes + piece.length > this.#options.messageBytesMax) {
          this.#send(frames, bytes);
          frames = [];
          bytes = 0;
        }
        frames.push(piece);
        bytes += piece.length;
        outgoing.begun = true;
        this.#credit -= costOf(piece);
        this.#queuedBytes -= piece.length;
        outgoing.next = outgoing.pieces.next().value ?? undefined;
      }
      if (outgoing.next === undefined) taken++;
    }
    if (taken > 0) this.#queue.splice(0, taken);
    if (this.#queue.length === 0) this.#queuedBytes = 0;
    this.#send(frames, bytes);
  }

  #send(frames: readonly Uint8Array<ArrayBuffer>[], bytes: number): void {
    const [first] = frames;
    if (first === undefined) return;
    if (frames.length === 1) {
      this.#options.send(first);
      return;
    }
    const message = new Uint8Array(bytes);
    let at = 0;
    for (const frame of frames) {
      message.set(frame, at);
      at += frame.length;
    }
    this.#options.send(message);
  }

  // --- receiving --------------------------------------------------------------------------------------------------

  /** The frame that is being put together from parts, if any. */
  get assembling(): number | undefined {
    return this.#assembler.id;
  }

  /** Forgets the frame that is being put together: its sender has withdrawn the rest. */
  dropParts(): void {
    this.#assembler.drop();
  }

  /**
   * Takes a message apart. `handle` gets every frame but those the link deals with itself, and for each a receipt
   * to give back by `release`, or `undefined` for control frames. @throws PROTOCOL_ERROR, and what `handle` throws
   */
  receive(message: Uint8Array, handle: (frame: Frame, receipt: Receipt | undefined) => void): void {
    for (const frame of framesOf(message)) {
      switch (frame.type) {
        case FrameType.Credit:
          this.grant(frame.id);
          break;
        case FrameType.Part: {
          const whole = this.#addPart(frame);
          if (whole !== undefined) handle(whole, { cost: whole.bytes.length, inParts: true });
          break;
        }
        case FrameType.Call:
        case FrameType.Reply:
        case FrameType.Error:
        case FrameType.Progress: {
          const cost = costOf(frame.bytes);
          this.#charge(cost);
          handle(frame, { cost, inParts: false });
          break;
        }
        default:
          handle(frame, undefined);
      }
    }
  }

  /** What `receipt` is for has been worked off. */
  release({ cost, inParts }: Receipt): void {
    if (inParts) {
      this.#inPartsBytes -= cost;
      this.#giveBackParts();
    } else this.#giveBack(cost);
  }

  #addPart(part: Frame): Frame | undefined {
    const cost = costOf(part.bytes);
    this.#charge(cost);
    const whole = this.#assembler.add(part);
    if (whole !== undefined) this.#inPartsBytes += whole.bytes.length;
    this.#deferred += cost;
    this.#giveBackParts();
    return whole;
  }

  #giveBackParts(): void {
    if (this.#inPartsBytes > this.#options.frameBytesMax) return;
    this.#giveBack(this.#deferred);
    this.#deferred = 0;
  }

  #charge(cost: number): void {
    this.#outstanding += cost;
    const { window, messageBytesMax } = this.#options;
    if (this.#outstanding > window + messageBytesMax + frameCost)
      throw malformed(`more was sent than the credit of ${window} bytes`);
  }

  /** In portions of a quarter of the window: a credit frame a call would be half of all frames. */
  #giveBack(cost: number): void {
    this.#outstanding -= cost;
    this.#returning += cost;
    if (this.#returning * 4 < this.#options.window || this.#closed) return;
    this.control(encodeFrame(FrameType.Credit, this.#returning));
    this.#returning = 0;
  }
}
