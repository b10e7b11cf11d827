/**
 * Cutting a text or Markdown file into passages to embed and show.
 *
 * A passage is some 70 to 140 words that stay under one heading: enough to mean something alone, short enough
 * that one vector can stand for it. Neighbours that a long paragraph was cut into share their border sentence, so
 * that a thought cut in two is whole in one of them. Short sections that follow each other are joined.
 *
 * Invariants: the same text gives the same passages (their places are stored); every readable word of the file is
 * in some passage; `source.slice(start, end)` is the source of what the passage shows.
 */

import { type Block, markdownBlocks, plainBlocks, readableHeading, readableMarkdown } from './markdown.ts';
import { countWords, type Span, sentencesOf } from './sentences.ts';

export interface Passage {
  /** What a reader sees: no Markdown marks, one line for each paragraph or list item. */
  readonly text: string;
  /** The headings the passage stands under, outermost first. */
  readonly headings: readonly string[];
  /** `[start, end)` in the source, UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

export type TextFormat = 'markdown' | 'plain';

/** From this size on a passage ends with its paragraph; short sections are joined up to it. */
const WORDS_ENOUGH = 70;
const WORDS_MAX = 140;
/** Longer border sentences are not repeated: the overlap must stay small beside the passage. */
const OVERLAP_WORDS_MAX = 40;
/** Code without line breaks is cut into pieces of about this many characters. */
const CODE_LINE_MAX = 600;

/** A sentence or a line of code on its way into a passage. */
interface Piece extends Span {
  readonly text: string;
  readonly words: number;
  readonly opensParagraph: boolean;
}

/** What stands directly under one heading. */
interface Section {
  readonly headings: readonly string[];
  readonly pieces: Iterable<Piece>;
}

interface SizedPassage extends Passage {
  readonly words: number;
}

/** Yields the passages of a text in order; lazily, so a caller can stop or breathe between them. */
export function* passagesOf(source: string, format: TextFormat): Generator<Passage> {
  let held: SizedPassage | undefined;
  for (const section of sectionsOf(source, format)) {
    for (const passage of pack(section)) {
      if (held && held.headings !== passage.headings && held.words + passage.words <= WORDS_ENOUGH) {
        held = join(held, passage);
      } else {
        if (held) yield withoutSize(held);
        held = passage;
      }
    }
  }
  if (held) yield withoutSize(held);
}

/**
 * What is embedded for a passage: its file and headings say what its sentences are about, and a query often
 * names just that.
 */
export function embeddingText(documentName: string, passage: Pick<Passage, 'text' | 'headings'>): string {
  const fileName = documentName.split('/').at(-1) ?? '';
  return [fileName.replace(/\.[a-z]+$/i, ''), ...passage.headings, passage.text].join('\n');
}

function* sectionsOf(source: string, format: TextFormat): Generator<Section> {
  const path: { level: number; text: string }[] = [];
  // A heading with nothing under it, not even another heading, is text of its own.
  let bare: { block: Block; text: string } | undefined;
  let headings: readonly string[] = [];

  const bareSection = function* (next?: Block): Generator<Section> {
    if (bare && (next === undefined || (next.kind === 'heading' && next.level <= bare.block.level))) {
      const { block, text } = bare;
      const piece = {
        start: block.start,
        end: block.end,
        text,
        words: countWords(text),
        opensParagraph: true,
      };
      yield { headings: headings.slice(0, -1), pieces: [piece] };
    }
    bare = undefined;
  };

  for (const [block, rest] of groupedBlocks(
    format === 'markdown' ? markdownBlocks(source) : plainBlocks(source),
  )) {
    yield* bareSection(block);
    if (block.kind === 'heading') {
      const text = readableHeading(source.slice(block.start, block.end));
      if (text === '') continue;
      while ((path.at(-1)?.level ?? 0) >= block.level) path.pop();
      path.push({ level: block.level, text });
      headings = path.map((heading) => heading.text);
      bare = { block, text };
    } else {
      yield { headings, pieces: piecesOf(source, rest, format) };
    }
  }
  yield* bareSection();
}

/** Pairs each heading with nothing and each run of text blocks, up to the next heading, with its iterator. */
function* groupedBlocks(blocks: Generator<Block>): Generator<[first: Block, run: Iterable<Block>]> {
  let next = blocks.next();
  while (!next.done) {
    const first: Block = next.value;
    if (first.kind === 'heading') {
      yield [first, []];
      next = blocks.next();
      continue;
    }
    yield [
      first,
      (function* (): Generator<Block> {
        for (; !next.done && next.value.kind !== 'heading'; next = blocks.next()) yield next.value;
      })(),
    ];
  }
}

function* piecesOf(source: string, blocks: Iterable<Block>, format: TextFormat): Generator<Piece> {
  for (const block of blocks) {
    let opensParagraph = true;
    for (const span of block.kind === 'code'
      ? codeLines(source, block)
      : sentencesOf(source, block.start, block.end)) {
      const text = readable(source.slice(span.start, span.end), block, format);
      if (text.trim() === '') continue;
      yield { ...span, text, words: countWords(text), opensParagraph };
      opensParagraph = block.kind === 'code';
    }
  }
}

function readable(raw: string, block: Block, format: TextFormat): string {
  // Columns lined up with spaces fall apart in running type anyway; the gaps only take room.
  if (block.kind === 'code') return raw.trimEnd().replace(/(?<=\S) {3,}/g, '  ');
  return format === 'markdown' ? readableMarkdown(raw) : raw.replace(/\s+/g, ' ').trim();
}

function* codeLines(source: string, block: Block): Generator<Span> {
  for (let start = block.start; start < block.end; ) {
    const newline = source.indexOf('\n', start);
    const end = newline === -1 ? block.end : Math.min(newline, block.end);
    if (end - start > CODE_LINE_MAX) yield* sentencesOf(source, start, end);
    else if (end > start) yield { start, end };
    start = end + 1;
  }
}

/** Packs a section's pieces into passages. */
function* pack({ headings, pieces }: Section): Generator<SizedPassage> {
  let open: Piece[] = [];
  let words = 0;
  for (const piece of pieces) {
    const isFull = words + piece.words > WORDS_MAX;
    const isRound = piece.opensParagraph && words >= WORDS_ENOUGH;
    if (open.length > 0 && (isFull || isRound)) {
      yield passageOf(headings, open, words);
      const last = open.at(-1)!;
      // The first passage's last sentence alone is no overlap but the passage again.
      const overlaps = !piece.opensParagraph && open.length > 1 && last.words <= OVERLAP_WORDS_MAX;
      open = overlaps ? [last] : [];
      words = overlaps ? last.words : 0;
    }
    open.push(piece);
    words += piece.words;
  }
  if (open.length > 0) yield passageOf(headings, open, words);
}

function passageOf(headings: readonly string[], pieces: readonly Piece[], words: number): SizedPassage {
  const text = pieces.map((piece, index) => {
    const gap = index === 0 ? '' : piece.opensParagraph ? '\n' : ' ';
    return gap + piece.text;
  });
  return { text: text.join(''), headings, start: pieces[0]!.start, end: pieces.at(-1)!.end, words };
}

/** One passage of two; the headings that they do not share become lines of its text. */
function join(one: SizedPassage, other: SizedPassage): SizedPassage {
  const differs = one.headings.findIndex((heading, index) => heading !== other.headings[index]);
  const shared = differs === -1 ? one.headings : one.headings.slice(0, differs);
  const lines = [one, other].flatMap(({ headings, text }) => [
    headings.slice(shared.length).join(' › '),
    text,
  ]);
  return {
    text: lines.filter((line) => line !== '').join('\n'),
    headings: shared,
    start: one.start,
    end: other.end,
    words: one.words + other.words,
  };
}

function withoutSize({ text, headings, start, end }: SizedPassage): Passage {
  return { text, headings, start, end };
}
