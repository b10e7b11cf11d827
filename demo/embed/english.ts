/**
 * What the built-in embedder knows of English: which words carry no topic, which are common anywhere,
 * and how to bring inflected forms together. All of it is a static prior, so a vector depends on its
 * text alone and never on what else is stored. Words of other languages pass through unchanged.
 */

import { COMMON_WORD_GROUPS } from './common-words.ts';

/** Function words: they say how a sentence is built, not what it is about. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again against all almost along already also although always am among an and another any ' +
    'are aren around as at away be became because become been before behind being below between both but by can ' +
    'cannot could couldn did didn do does doesn doing don done down during each either else etc even ever every few ' +
    'for from further get gets getting go goes going got had hadn has hasn have haven having he hence her here hers ' +
    'herself him himself his how however i if in instead into is isn it its itself just least less let ll many may ' +
    'me might more most much must my myself nearly neither never no nobody none nor not nothing now of off often on ' +
    'once one only onto or other others otherwise ought our ours ourselves out over own per perhaps quite rather re ' +
    's same shall she should shouldn since so some somehow someone something sometimes soon still such t than that ' +
    'the their theirs them themselves then there therefore these they this those though through thus to together ' +
    'too toward towards under until unless up upon us ve very via was wasn we well were weren what whatever when ' +
    'whenever where whether which while who whoever whole whom whose why will with within without won would ' +
    'wouldn yes yet you your yours yourself yourselves'
  ).split(' '),
);

/** Stem -> group, the commonest group where a stem is in several. */
const COMMON: ReadonlyMap<string, number> = new Map(
  COMMON_WORD_GROUPS.flatMap((group, index) => group.map((word) => [stem(word), index] as const)).reverse(),
);

/** ln(N / df) with N the documents of a large mixed collection and df those that such a word stands in. */
const GROUP_IDF: readonly number[] = [2.3, 3.5, 4.6];
const RARE_IDF = 7;

export function isStopWord(word: string): boolean {
  return STOP_WORDS.has(word);
}

/** The inverse document frequency expected of a stem in English at large, 2.3 to 7. */
export function priorIdf(stemmed: string): number {
  const group = COMMON.get(stemmed);
  return group === undefined ? RARE_IDF : (GROUP_IDF[group] ?? RARE_IDF);
}

/**
 * Takes plural, -ing and -ed off an English word, keeping at least three letters. Lighter than Porter's
 * stemmer (1980) on purpose: the character n-grams already bring `persist` and `persistence` together, and
 * a light stemmer makes fewer false friends.
 */
export function stem(word: string): string {
  if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
  let base = withoutPlural(word);
  if (base.endsWith('ing') && base.length > 5) base = base.slice(0, -3);
  else if (base.endsWith('ed') && base.length > 4) base = base.slice(0, -2);
  if (base.length > 4 && base.endsWith('e')) base = base.slice(0, -1);
  // stopped -> stopp -> stop, but fill, pass and fuzz stay as they are.
  if (base.length > 3 && base.at(-1) === base.at(-2) && !/[aeioulsz]$/.test(base)) base = base.slice(0, -1);
  return base;
}

function withoutPlural(word: string): string {
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(ss|sh|ch|x|z)es$/.test(word) && word.length > 4) return word.slice(0, -2);
  if (word.endsWith('s') && !/(ss|us|is)$/.test(word)) return word.slice(0, -1);
  return word;
}
