/* The scores in a tokenizer.json, read exactly as `tokenizers` reads them. */
#ifndef SV_TEXT_JSON_SCORES_H
#define SV_TEXT_JSON_SCORES_H

#include "common/json.h"

/* A number, INTEGER or REAL; infinite if it is too large. */
double sv_json_score(sv_json number);

#endif
