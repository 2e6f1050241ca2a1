/* JSON as text: checked, and taken apart without being converted. A number of any size passes through as it stands, where a
 * decoder would have to find a type for it. */
#ifndef SV_IO_JSON_SCAN_H
#define SV_IO_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "senvec.h"

#define SV_JSON_MAX_DEPTH 1024 /* brackets within brackets */

/* Checks that `json` is one value (RFC 8259), with white space around it and nothing else. NULL: it is; else what is wrong at
 * byte *at. */
const char *sv_json_check(senvec_text json, size_t *at);

/* The functions below take JSON that sv_json_check has passed. */

/* Finds the value at `path` in an object: a member of that name, else members within members, "a.b" being member "b" of member
 * "a"; of an array, a number from 0 stands for its element. Of several members of one name the last counts. */
bool sv_json_find(senvec_text json, const char *path, senvec_text *value);

/* The white space around a value taken away. */
senvec_text sv_json_trim(senvec_text json);
bool sv_json_is_string(senvec_text value);
/* The content of a string as UTF-8 in `out`, which has room for value.length bytes; returns its length. Half of a surrogate
 * pair, which is no character, becomes the byte 0xff, which is none either. */
size_t sv_json_string(senvec_text value, char *out);

#endif
