/* Choices on a command line: "all", "none", or words with commas between them. */
#ifndef SV_IO_WORD_LIST_H
#define SV_IO_WORD_LIST_H

#include <stdbool.h>

#include "common/status.h"

/* Error: INVALID_ARGUMENT: a word of `list`, the value of `option`, that isn't in the NULL-terminated `known`. An empty word
 * isn't, so a comma too many is an error as well. */
senvec_status sv_word_list_check(const char *option, const char *list, const char *const *known, senvec_error *err);
/* Does the (checked) list choose `word`? */
bool sv_word_list_has(const char *list, const char *word);

#endif
