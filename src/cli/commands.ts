/** All commands by name, in the order HELP lists them. */

import { keyCommands } from './key-commands.ts';
import type { Command } from './shell.ts';
import { spaceCommands } from './space-commands.ts';
import { userCommands } from './user-commands.ts';
import { vectorCommands } from './vector-commands.ts';

const sessionCommands: readonly Command[] = [
  {
    name: 'HELP',
    usage: '',
    summary: 'this list',
    words: [0, 0],
    async run() {
      return { value: all.map(({ name, usage, summary }) => ({ name, usage, summary })), text: helpText() };
    },
  },
  {
    name: 'QUIT',
    aliases: ['EXIT'],
    usage: '',
    summary: 'ends the session',
    words: [0, 0],
    async run() {
      return { value: 'Goodbye', text: 'Goodbye', ends: true };
    },
  },
];

const all: readonly Command[] = [
  ...spaceCommands,
  ...keyCommands,
  ...vectorCommands,
  ...userCommands,
  ...sessionCommands,
];

export const commands: ReadonlyMap<string, Command> = new Map(
  all.flatMap((command) =>
    [command.name, ...(command.aliases ?? [])].map((name) => [name, command] as const),
  ),
);

function helpText(): string {
  return [
    ...all.map(({ name, aliases = [], usage, summary }) => {
      const names = [name, ...aliases].join(' | ');
      return `${`${names} ${usage.replace(/\s+/g, ' ')}`.trimEnd()}: ${summary}`;
    }),
    'Words with blanks in them stand in quotes: SET city "New York". Lines that begin with # are comments.',
  ].join('\n');
}
