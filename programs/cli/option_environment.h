/* Options of a command in the environment. */
#ifndef SV_CLI_OPTION_ENVIRONMENT_H
#define SV_CLI_OPTION_ENVIRONMENT_H

#include "cli/options.h"

enum { SV_OPTION_ARGUMENTS = 128 };

/* Writes into `out` the program's name, "--name=value" for each of `options` for which the environment has a variable (`prefix`
 * and the option's name in capitals, '-' as '_'; a flag is set by 1), and the arguments of the command line, which come last
 * and so win. Strings stay valid until the next call. Returns their number, at most SV_OPTION_ARGUMENTS; -1 if the values
 * are longer than any that make sense. One thread at a time. */
int sv_option_environment(const char *prefix, const sv_option *options, int argc, char **argv, char *out[SV_OPTION_ARGUMENTS]);

#endif
