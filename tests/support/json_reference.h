/* Reading JSON compared with an independent reader of it (jansson). */
#ifndef SV_TESTS_JSON_REFERENCE_H
#define SV_TESTS_JSON_REFERENCE_H

#include <stddef.h>

/* NULL: both refuse text[0 .. length), or both find the same values in it. Else what they differ in. `*valid` becomes 1 if it
 * was read. */
const char *json_difference(const char *text, size_t length, int *valid);

#endif
