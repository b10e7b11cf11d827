/**
 * Reading Markdown as blocks of text with their headings, and taking its marks off for display and search.
 *
 * Not a renderer: it has to find what a reader would read, never to rebuild the page. It follows CommonMark's
 * block rules as far as they decide where text begins and ends (fences, ATX and setext headings, lists, quotes,
 * tables, front matter); anything it does not know is read as a paragraph, so no text is ever lost.
 */

/** A run of source lines that belong together. */
export interface Block {
  readonly kind: 'heading' | 'prose' | 'code';
  /** `[start, end)` in the source, UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** 1 to 6 for headings, else 0. */
  readonly level: number;
}

interface Line {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function* linesOf(source: string): Generator<Line> {
  let start = 0;
  while (start < source.length) {
    const newline = source.indexOf('\n', start);
    const end = newline === -1 ? source.length : newline;
    yield { text: source.slice(start, end).replace(/\r$/, ''), start, end };
    start = end + 1;
  }
}

/** Paragraphs of plain text: runs of lines between blank ones. */
export function* plainBlocks(source: string): Generator<Block> {
  let open: { start: number; end: number } | undefined;
  for (const line of linesOf(source)) {
    if (line.text.trim() === '') {
      if (open) yield { kind: 'prose', ...open, level: 0 };
      open = undefined;
    } else {
      open = { start: open?.start ?? line.start, end: line.end };
    }
  }
  if (open) yield { kind: 'prose', ...open, level: 0 };
}

/** A longer line is a paragraph that someone forgot to break, whatever it begins with. */
const HEADING_LENGTH_MAX = 300;

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const INDENTED_CODE = /^(?: {4}|\t)\s*\S/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+|$)/;
const SETEXT = /^ {0,3}(=+|-{2,})\s*$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:_\s*){3,}|(?:-\s*){3,})$/;
const LIST_ITEM = /^\s*(?:[-*+]|\d{1,9}[.)])\s+/;
const TABLE_DIVIDER = /^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$/;
const LINK_DEFINITION = /^ {0,3}\[[^\]]+\]:\s*\S+/;

/** The blocks of a Markdown text, in order; rules, link definitions, comments and front matter give none. */
export function* markdownBlocks(source: string): Generator<Block> {
  let open: { start: number; end: number } | undefined;
  let fence: { mark: string; start: number; end: number } | undefined;
  let inComment = false;
  let inList = false;
  const bodyStart = frontMatterEnd(source);

  const close = function* (): Generator<Block> {
    if (open) yield { kind: 'prose', ...open, level: 0 };
    open = undefined;
  };

  for (const line of linesOf(source)) {
    if (line.start < bodyStart) continue;
    if (fence) {
      if (isClosingFence(line.text, fence.mark)) {
        if (fence.start < fence.end) yield { kind: 'code', start: fence.start, end: fence.end, level: 0 };
        fence = undefined;
      } else {
        fence.end = line.end;
      }
      continue;
    }
    if (inComment || /^\s*<!--(?!.*-->\s*\S)/.test(line.text)) {
      inComment = !line.text.includes('-->');
      yield* close();
      continue;
    }
    const fenceMark = FENCE.exec(line.text)?.[1];
    const level = line.text.length > HEADING_LENGTH_MAX ? undefined : HEADING.exec(line.text)?.[1]?.length;
    if (fenceMark !== undefined) {
      yield* close();
      fence = { mark: fenceMark, start: line.end + 1, end: line.end + 1 };
    } else if (level !== undefined) {
      yield* close();
      yield { kind: 'heading', start: line.start, end: line.end, level };
    } else if (open && open.end - open.start <= HEADING_LENGTH_MAX && SETEXT.test(line.text)) {
      yield { kind: 'heading', ...open, level: line.text.trimStart().startsWith('=') ? 1 : 2 };
      open = undefined;
    } else if (line.text.trim() === '' || isSilent(line.text)) {
      yield* close();
    } else if (!open && !inList && INDENTED_CODE.test(line.text)) {
      const indent = line.text.startsWith('\t') ? 1 : 4;
      yield { kind: 'code', start: line.start + indent, end: line.end, level: 0 };
    } else {
      // Inside a list, indented lines are the item's further paragraphs.
      inList = LIST_ITEM.test(line.text) || (inList && /^\s/.test(line.text));
      if (LIST_ITEM.test(line.text) || line.text.trimStart().startsWith('|')) yield* close();
      open = { start: open?.start ?? line.start, end: line.end };
    }
  }
  // CommonMark: a fence that is never closed reaches to the end of the file.
  if (fence && fence.start < fence.end) yield { kind: 'code', start: fence.start, end: fence.end, level: 0 };
  yield* close();
}

function isSilent(text: string): boolean {
  return RULE.test(text) || TABLE_DIVIDER.test(text) || LINK_DEFINITION.test(text);
}

function isClosingFence(text: string, mark: string): boolean {
  const closing = FENCE.exec(text)?.[1];
  return (
    closing !== undefined &&
    closing[0] === mark[0] &&
    closing.length >= mark.length &&
    /^\s*[`~]+\s*$/.test(text)
  );
}

/** Where the text begins after a YAML or TOML front matter, else 0. */
function frontMatterEnd(source: string): number {
  return /^(---|\+\+\+)\r?\n(?:[^\n]*\n){0,100}?\1[ \t]*(?:\r?\n|$)/.exec(source)?.[0].length ?? 0;
}

/** The text of a piece of Markdown prose as one reads it, on one line. */
export function readableMarkdown(markdown: string): string {
  return stripInline(
    markdown
      .replace(/^\s*(?:>\s?)+/gm, '')
      .replace(/^\s*(?:[-*+]|(\d{1,9})[.)])\s+(?:\[[ xX]\]\s+)?/gm, (_, number?: string) =>
        number ? `${number}. ` : '• ',
      )
      .replace(/^\s*\|(.*?)\|?\s*$/gm, (_, row: string) =>
        row
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim())
          .filter(Boolean)
          .join(' · '),
      ),
  );
}

/** A heading's own words. */
export function readableHeading(markdown: string): string {
  return stripInline(markdown.replace(/^\s*#{1,6}\s*/, '').replace(/\s+#+\s*$/, ''));
}

function stripInline(markdown: string): string {
  // Code spans and escaped marks are text: set aside, numbered between noncharacters that no text may hold.
  const literals: string[] = [];
  const setAside = (text: string): string => `\uFDD0${literals.push(text) - 1}\uFDD0`;
  return markdown
    .replaceAll('\uFDD0', '')
    .replace(/(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)/g, (_, _ticks: string, code: string) =>
      setAside(code.trim()),
    )
    .replace(/\\([!-/:-@[-`{-~])/g, (_, mark: string) => setAside(mark))
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/!\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, '$1')
    .replace(/\[([^\]]+)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])/g, '$1')
    .replace(/<((?:https?|mailto):[^>\s]+)>/g, '$1')
    .replace(/<\/?[a-zA-Z][^<>]*>/g, ' ')
    .replace(/(\*{1,3}|~~)(?=\S)([\s\S]*?\S)\1/g, '$2')
    .replace(/(?<![\p{L}\p{N}_])(_{1,3})(?=\S)([\s\S]*?\S)\1(?![\p{L}\p{N}_])/gu, '$2')
    .replace(/&(amp|lt|gt|quot|nbsp|#39);/g, (_, name: string) => ENTITIES[name] ?? '')
    .replace(/\uFDD0(\d+)\uFDD0/g, (_, index: string) => literals[Number(index)] ?? '')
    .replace(/\s+/g, ' ')
    .trim();
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  nbsp: ' ',
  '#39': "'",
};
