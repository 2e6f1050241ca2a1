/* Vectors in the forms in which an index may keep them: what each costs in bytes, and what it loses. */
#ifndef SV_STUDY_FORMS_H
#define SV_STUDY_FORMS_H

#include <stddef.h>

#include "common/status.h"
#include "results/results.h"

/* Bytes of a vector of `dimensions` numbers in the form. */
size_t sv_form_bytes(sv_form form, size_t dimensions);

/* `vectors` [count, dimensions] in the form, as numbers again: of length 1, but binary ones as 1 and -1, whose sums are exact.
 * *out [count, *kept] is for free(). Error: OUT_OF_MEMORY. */
senvec_status sv_form_vectors(const float *vectors, size_t count, size_t dimensions, sv_form form, float **out, size_t *kept,
                              senvec_error *err);

/* recall[form]: of each of the `vectors` [count, dimensions], the part of its 10 nearest by cosine (all others where there are
 * fewer) that is among its 10 nearest in that form too; the mean over the vectors, NaN below two. Of equally near ones the
 * first is the nearest. Error: OUT_OF_MEMORY. */
senvec_status sv_recall_of_forms(const float *vectors, size_t count, size_t dimensions, double recall[SV_FORMS],
                                 senvec_error *err);

#endif
