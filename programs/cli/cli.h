/* The parts that all commands share: exit codes, messages, and the end by a signal.
 *
 * Data goes to stdout or to -o, everything else to stderr. A message is one line: what, where, why, what to do. A command is a
 * function int sv_cmd_<name>(int argc, char **argv), argv[0] being its name; it returns an exit code and is listed in main.c.
 */
#ifndef SV_CLI_CLI_H
#define SV_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"
#include "common/limits.h"
#include "common/status.h"

enum {
    SV_EXIT_DONE = 0,
    SV_EXIT_FAILED = 1,
    SV_EXIT_USAGE = 2, /* nothing was done: the command line is wrong */
};

/* ---------------------------------------------------------------- messages */

/* "senvec embed: ...", on stderr, after clearing a progress bar that stands there. Controls in it become '?'. */
__attribute__((format(printf, 1, 2))) void sv_cli_say(const char *format, ...);
/* The same; returns SV_EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int sv_cli_usage_error(const char *format, ...);
/* Says err->message. Returns SV_EXIT_USAGE for an invalid argument, which came from the command line or the environment, else
 * SV_EXIT_FAILED. */
int sv_cli_fail(const senvec_error *err);

/* The command's name in messages; main sets it. */
void sv_cli_set_command(const char *name);

/* ------------------------------------------------------------ interruption */

/* Lets Ctrl-C, SIGTERM and SIGHUP end the program at once with 128 + signal, after the temporaries of the files that it writes
 * are removed; and has a closed pipe seen as a failed write. main calls it. */
void sv_cli_catch_signals(void);
/* Has `handler` called for these three signals instead; the second signal of a kind ends the program. A signal that was ignored
 * when the program began, as under nohup or for a job in the background, stays ignored in both cases. */
void sv_cli_on_signal(void (*handler)(int));
/* Whether a signal was not ignored when the program began. */
bool sv_cli_takes_signal(int signal);

/* ------------------------------------------------------------------ memory */

/* Gives jansson its memory; main calls it. Without memory the program ends with a message and SV_EXIT_FAILED, and the
 * temporary files and folders are removed: jansson reads on behind the end of a buffer that couldn't grow, and a tree whose
 * parts could not all be made looks like one that never had them. The server reads and writes its JSON without jansson. */
void sv_cli_guard_json(void);

#endif
