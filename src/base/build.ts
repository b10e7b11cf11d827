/** Which build of Shibumi this is: what tabs that share a database tell each other. */

export interface Build {
  /** Of the package. Of two builds the one with the later version is the newer. */
  readonly version: string;
  /** Of what tabs send each other. */
  readonly protocol: number;
  /** Of what is stored. */
  readonly format: number;
}

/** The format of everything stored: docs/format.md says what it covers. */
export const formatVersion = 1;

export const thisBuild: Build = { version: '0.1.0', protocol: 1, format: formatVersion };

/** Below 0 where `a` is older than `b`, above where it is newer, 0 where they are the same. */
export function compareBuilds(a: Build, b: Build): number {
  return a.format - b.format || a.protocol - b.protocol || compareVersions(a.version, b.version);
}

/** By number, part by part; a pre-release comes before what it is one of (semver.org, 11). */
function compareVersions(a: string, b: string): number {
  const [coreA = '', ...preA] = a.split('-');
  const [coreB = '', ...preB] = b.split('-');
  const byCore = compareParts(coreA, coreB);
  if (byCore !== 0 || (preA.length === 0 && preB.length === 0)) return byCore;
  if (preA.length === 0 || preB.length === 0) return preA.length === 0 ? 1 : -1;
  return compareParts(preA.join('-'), preB.join('-'));
}

function compareParts(a: string, b: string): number {
  const partsA = a.split('.');
  const partsB = b.split('.');
  for (let i = 0; i < Math.max(partsA.length, partsB.length); i++) {
    const partA = partsA[i] ?? '';
    const partB = partsB[i] ?? '';
    if (partA === partB) continue;
    const numbers = /^\d+$/.test(partA) && /^\d+$/.test(partB);
    if (numbers) return Number(partA) - Number(partB);
    return partA < partB ? -1 : 1;
  }
  return 0;
}
