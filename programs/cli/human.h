/* Figures for people. Each writes into the caller's buffer and returns it, so calls can stand in a printf's arguments:
 *     printf("%s texts in %s", sv_human_count((char[SV_HUMAN]){0}, n), sv_human_seconds((char[SV_HUMAN]){0}, s)); */
#ifndef SV_CLI_HUMAN_H
#define SV_CLI_HUMAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SV_HUMAN 32

const char *sv_human_count(char out[SV_HUMAN], uint64_t value);   /* 1,234,567 */
const char *sv_human_bytes(char out[SV_HUMAN], uint64_t bytes);   /* 90.9 MB, in powers of 1000 */
const char *sv_human_rate(char out[SV_HUMAN], double value);      /* 2,512 from 100 on, 12.3, 0.45 */
const char *sv_human_seconds(char out[SV_HUMAN], double value);   /* 0.123 s, 8.12 s, 3 min 20 s, 2 h 05 min */
const char *sv_human_countdown(char out[SV_HUMAN], double value); /* 3:20, 2:05:10 */

/* Whether `stream` takes colour (a terminal, unless NO_COLOR is set or TERM is dumb), and whether characters beyond ASCII may
 * be written (a UTF-8 locale). */
bool sv_human_colour(FILE *stream);
bool sv_human_unicode(void);

#endif
