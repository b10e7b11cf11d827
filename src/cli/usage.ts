/** What `shibumi --help` prints. */
export const usage = `shibumi <folder>                        a session on the database in a folder; HELP lists its commands
shibumi <folder> < commands.txt         the same from a file or a pipe, without a prompt
shibumi <folder> -c "COMMAND" ...       the commands given, each with its own -c
  --json                                one JSON value a line
  --stop-on-error                       ends at the first command that fails
  --pipe-in <path> --pipe-out <path>    serves commands from one named pipe, replies to another

shibumi import <folder> <space> <file>  a file into a space, which is made if it is not there; - is standard input
  --format jsonl|csv|npy|fvecs          else the file's extension tells
  --first-id <n>                        npy and fvecs: the first row's id (0 unless given)
  --index, --metric, --ids, --ef-construction   of a vector space that is made
shibumi export <folder> <space> <file>  a space into a file; - is standard output
  --format jsonl|csv|npy|fvecs
shibumi export <folder> [<space> …] --static <folder>   a snapshot to read from any static host (docs/static.md)
  --pack-bytes <n>                      most bytes of one file; 25165824 unless given
  --prune                               removes the files of earlier snapshots
shibumi stats <folder> [--json]         the database and its spaces
shibumi verify <folder> [--json]        reads everything that is stored; status 1 where there is damage
  --shallow                             checksums only, not what is inside the images
shibumi bench <folder> [--json]         how fast it is here, in spaces of its own
  --vectors <n> --dimension <n>         10000 of 384 unless given

shibumi users list|show|create|password|role|permit|delete <folder> [<name> …]
  create <folder> <name> [--role admin|user] [<space>=read|write …]
  permit <folder> <name> [<space>=read|write …]   in place of what was permitted before
                                        new passwords: SHIBUMI_NEW_PASSWORD, asked for, or standard input

shibumi move <from> <space> --to <place>   a space to another folder, server or upstream (docs/bridge.md)
  --durability strict|relaxed|none      of the space that is made; else as the source's
  --state <file>                        where it notes how far it is; else .shibumi-move-… in this folder
  --delete-source                       once both were found to hold the same

shibumi serve <folder>                  the database for others: WebSocket bridge, users and passwords
  --host <address> --port <n>           127.0.0.1 and 4321 unless given
  --tls-key <file> --tls-cert <file>    wss: and https: instead of ws: and http:
  --origin <origin>                     a page's that may connect; may be repeated
  --resp <port>, --shibudb <port>, --nubdb <port>   for clients of Redis, ShibuDB, NubDB
  --resp-space <n>=<space>              what SELECT n chooses (0=default unless given); may be repeated
  --nubdb-space <space>                 default unless given
  --upstream <url>                      all spaces lie there: redis: rediss: redis-cluster: postgres: shibudb: nubdb:
  --config <file>                       which spaces lie in which upstream (docs/bridge.md)
  --guest <user>                        whom clients of Redis and NubDB act as before they sign in; loopback only
  --connections <n>, --calls-per-second <n>   limits

All but serve: --user <name> signs in, with the password from SHIBUMI_PASSWORD or asked for. Instead of
a folder, the address of a bridge: ws://user@host:port/.

An encrypted folder: its password in SHIBUMI_ENCRYPTION_PASSWORD, or the first line of the file that
SHIBUMI_ENCRYPTION_PASSWORD_FILE names; a folder that is made with it is encrypted.

shibumi --help, shibumi --version

Exit status: 0 done, 1 something failed, 2 nothing was begun.
`;
