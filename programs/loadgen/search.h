/* The search for the highest rate that passes: doubling until one fails, then bisection between the last that passed and the
 * first that failed, in steps of equal ratio. */
#ifndef SV_LOADGEN_SEARCH_H
#define SV_LOADGEN_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sv_search {
    double rate;   /* to be tried now */
    double passed; /* the highest that passed; 0: none yet */
    double failed; /* the lowest that failed; 0: none yet */
    double least, most, tolerance;
} sv_search;

/* Begins at `first`; `least` <= first <= most. It ends when passed and failed are within a ratio of 1 + tolerance. */
void sv_search_begin(sv_search *search, double first, double least, double most, double tolerance);
/* Takes the outcome of search->rate and sets the next; false: it is over, and `passed` is the result. */
bool sv_search_next(sv_search *search, bool passed);

#endif
