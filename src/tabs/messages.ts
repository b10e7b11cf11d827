/**
 * What a page and the workers offer each other over Comlink, besides the packed calls themselves (rpc/messages.ts).
 *
 * A page has one worker of its own, which may become the owner (`TabWorkerEndpoint`), and one connection to the worker that
 * is (`SessionEndpoint`): its own one, or another tab's through a port or a channel.
 */

import type { ErrorEnvelope } from '../api/error-envelope.ts';
import type { Build } from '../base/build.ts';
import type { Message, Reply, WorkerOpenOptions } from '../rpc/messages.ts';
import type { UnlockedKey } from '../storage/encryption/key-record.ts';

/** Replies of an owner. */
export interface Answer {
  readonly epoch: number;
  readonly replies: readonly Reply[];
  /** The worker owns the database no more: nothing it has not answered by now will be answered. */
  readonly gone: boolean;
}

/** A session, as its client reaches it. */
export interface SessionEndpoint {
  exchange(message: Message): Promise<Answer>;
  /** Answered at once by an owner that runs. */
  ping(): Promise<number>;
}

/** What a worker that waits to be owner is told of the database. */
export interface TabOptions extends WorkerOpenOptions {
  /** Names the worker among all tabs. */
  readonly owner: string;
  /** Name of the Web Lock that the worker holds as long as it lives. Absent where there are no locks. */
  readonly alive: string | undefined;
  /** The address of the broker's script, if the page has one. */
  readonly broker: string | undefined;
}

/** Which database the page is used to, as far as it knows. */
export interface KnownDatabase {
  readonly identity: string;
  readonly epoch: number;
}

/** Why a worker lost the database. */
export interface Ending {
  readonly state: 'versionchange' | 'closed' | 'taken';
  readonly message: string;
}

/** What a worker tells its page. */
export type TabEvent =
  /** It owns the database: the page's calls may come straight to it. */
  | {
      readonly type: 'owning';
      readonly identity: string;
      readonly epoch: number;
      readonly build: Build;
      /** Of an encrypted database: what the page keeps in place of the password. */
      readonly unlocked: UnlockedKey | undefined;
    }
  /** It does not any more; why, if it was not its own doing. */
  | { readonly type: 'ended'; readonly why: Ending | undefined }
  /** It could not open the database, and waits no more until it is told to stand again. */
  | { readonly type: 'failed'; readonly error: ErrorEnvelope }
  /** Another tab looks for the owner: it will ask the broker for a port. */
  | { readonly type: 'wanted' }
  /** An older connection keeps IndexedDB from being opened. */
  | { readonly type: 'blocked' };

export interface TabWorkerEndpoint extends SessionEndpoint {
  /** Gets in line for the database; what becomes of it is told to `listener`. */
  enter(name: string, options: TabOptions, listener: (event: TabEvent) => void): Promise<void>;
  /** The page has got to know the database, as another tab's or its own: the worker must not make a new one in its place. */
  know(database: KnownDatabase): Promise<void>;
  /** Unlocks the key of the database, as its owner told it. @throws nothing: an error comes back as an envelope */
  unlock(keyRecord: string): Promise<UnlockedKey | { readonly error: ErrorEnvelope }>;
  /** Gets in line again, after a failure or `withdraw`. */
  stand(): Promise<void>;
  /** Takes the database from an owner that gives no sign, or has made way (`isInvited`). */
  seize(isInvited: boolean): Promise<void>;
  /** Lets go of the database in an orderly way, or leaves the line. */
  withdraw(): Promise<void>;
  /** A client that came through the broker. It holds a Web Lock of the name `alive` as long as it lives, if there are any. */
  accept(port: MessagePort, alive: string | undefined): Promise<void>;
}
