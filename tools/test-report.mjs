// Turns node:test's events into a report for people, and counts what really ran.
//
// Counted are leaves: a test that has subtests, and a suite, only hold others. Such a holder counts when it failed by
// itself (in a hook, or after its subtests). A file that fails before its first test counts as one failed test.

import path from 'node:path';
import { inspect } from 'node:util';

const slowestShown = 12;

export class TestReport {
  #root;
  #passed = 0;
  #skipped = 0;
  /** @type {string[]} */
  #failures = [];
  /** Results seen per file and depth, since the last result one level up. @type {Map<string, number[]>} */
  #resultsByDepth = new Map();
  /** @type {{ file: string, durationMs: number }[]} */
  #files = [];
  #currentFile = '';
  #startedMs = performance.now();

  /** @param {string} root folder that printed paths are relative to */
  constructor(root) {
    this.#root = root;
  }

  /** @param {any} event an event of node:test's `run()` */
  add({ type, data }) {
    if (type === 'test:pass' || type === 'test:fail') this.#addResult(type === 'test:pass', data);
    else if (type === 'test:stdout' || type === 'test:stderr') this.#printOutput(data.file, data.message);
  }

  /**
   * A failure outside any test.
   * @param {string} name
   * @param {string} reason
   */
  fail(name, reason) {
    this.#failures.push(`  ✖ ${name}`);
    console.log(`  ✖ ${name}\n${indent(reason, 4)}`);
  }

  /**
   * A file ended.
   * @param {string} file
   * @param {number} durationMs
   */
  addFile(file, durationMs) {
    this.#files.push({ file, durationMs });
  }

  /** Prints the slowest files, the failures and the closing line. @returns {number} the exit status */
  finish() {
    const slowest = this.#files.sort((a, b) => b.durationMs - a.durationMs).slice(0, slowestShown);
    console.log('\nSlowest files:');
    for (const { file, durationMs } of slowest)
      console.log(`  ${formatDuration(durationMs).padStart(8)}  ${file}`);
    if (this.#failures.length > 0) console.log(`\nFailed:\n${this.#failures.join('\n')}`);
    const total = this.#passed + this.#failures.length + this.#skipped;
    console.log(`\n${total} tests in ${((performance.now() - this.#startedMs) / 1000).toFixed(1)} s`);
    console.log(`${this.#passed} passed, ${this.#failures.length} failed, ${this.#skipped} skipped`);
    return this.#failures.length === 0 && this.#passed > 0 ? 0 : 1;
  }

  /**
   * @param {boolean} passed
   * @param {any} data
   */
  #addResult(passed, data) {
    const { name, nesting, file, details, skip, todo } = data;
    const holds = this.#countResult(file ?? '', nesting);
    const holder = details.type === 'suite' || holds > 0;
    const error = details.error;
    // A holder reports its subtests' failures as its own; they are counted already.
    if (!passed && error?.failureType === 'subtestsFailed') return;
    if (passed && holder) return;
    this.#printFile(file);
    // node:test reports a file that ran no test, or that ended badly, as a test named by its path.
    if (passed && name === file) return this.fail(this.#relative(file), 'The file holds no test.');
    if (skip !== undefined || todo !== undefined) {
      this.#skipped++;
      const reason =
        [skip, todo].find((text) => typeof text === 'string' && text !== '') ?? 'no reason given';
      console.log(`  ﹣ ${name} (skipped: ${reason})`);
    } else if (passed) {
      this.#passed++;
      console.log(`  ✔ ${name} (${formatDuration(details.duration_ms)})`);
    } else {
      const where = this.#relative(file);
      this.fail(name === file ? where : `${where}: ${name}`, describe(error));
    }
  }

  /**
   * Notes a result and tells how many subtests it had: results come after those of their subtests.
   * @param {string} file
   * @param {number} depth
   */
  #countResult(file, depth) {
    const counts = this.#resultsByDepth.get(file) ?? [];
    const holds = counts[depth + 1] ?? 0;
    counts[depth + 1] = 0;
    counts[depth] = (counts[depth] ?? 0) + 1;
    this.#resultsByDepth.set(file, counts);
    return holds;
  }

  /**
   * @param {string | undefined} file
   * @param {string} message
   */
  #printOutput(file, message) {
    this.#printFile(file);
    if (message.trim() !== '') console.log(indent(message.trimEnd(), 4));
  }

  /** @param {string | undefined} file */
  #printFile(file) {
    if (file === undefined || file === this.#currentFile) return;
    this.#currentFile = file;
    console.log(this.#relative(file));
  }

  /** @param {string} file */
  #relative(file) {
    return path.relative(this.#root, file);
  }
}

/** @param {any} error node:test's wrapper, whose cause is what was thrown */
function describe(error) {
  const thrown = error?.cause ?? error;
  if (typeof thrown === 'string') return thrown;
  // The test runner's own frames say nothing about the test.
  return inspect(thrown, { depth: 4 }).replace(/\n +at .*\(?node:internal.*/g, '');
}

/** @param {number} milliseconds */
function formatDuration(milliseconds) {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/**
 * @param {string} text
 * @param {number} width
 */
function indent(text, width) {
  return text.replace(/^/gm, ' '.repeat(width));
}
