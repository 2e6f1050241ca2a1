/* Numbers of a tokenizer.json exactly as `tokenizers` reads them. */
#ifndef SV_TEXT_JSON_SCORES_H
#define SV_TEXT_JSON_SCORES_H

#include <stdbool.h>
#include <stddef.h>

/* Reads the second member of each list in model.vocab into scores[0 .. count). `json` is a valid JSON text of `size` bytes.
 * False: it doesn't have that many; then some of `scores` may be written. */
bool sv_json_scores(const char *json, size_t size, double *scores, size_t count);

#endif
