/* The texts that a study measures with: the built-in ones or a sample of the user's own. */
#ifndef SV_STUDY_TEXTS_H
#define SV_STUDY_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"
#include "corpus/corpus.h"

/* The built-in corpus: skill descriptions of 8 to 15 tokens, written for this project. */
extern const char *const sv_default_corpus[];
extern const size_t sv_default_corpus_count;
/* How many texts a study measures with by default: the built-in ones are repeated to this number. */
#define SV_STUDY_DEFAULT_TEXTS 1000

typedef struct sv_texts {
    sv_arena arena;
    senvec_text *texts; /* `count`, valid UTF-8 */
    size_t count;
    size_t *distinct; /* `distinct_count` indices: the first of each group of equal texts, ascending */
    size_t distinct_count;
    uint64_t seen;         /* texts in the file; more than `count` where it was sampled */
    uint64_t invalid_utf8; /* texts in which invalid bytes were replaced by U+FFFD */
    const char *source;    /* the file's name, or "built-in" */
} sv_texts;

/* Reads `path`, or takes the built-in texts if it is NULL. Of a file with more than `limit` texts (1 .. SV_MAX_STUDY_TEXTS) a
 * uniform sample of `limit` is kept, drawn by `seed`, in the file's order; memory is bounded by the sample.
 * Errors: those of sv_corpus_open and sv_corpus_next; FORMAT (no text at all), OUT_OF_MEMORY. */
senvec_status sv_texts_load(sv_texts *texts, const char *path, const sv_corpus_options *options, size_t limit, uint64_t seed,
                            senvec_error *err);
/* A zeroed one is accepted. */
void sv_texts_release(sv_texts *texts);

/* Writes texts[pick[0 .. count)] (all of them in order if `pick` is NULL) as a JSON array of strings, for a worker to read.
 * Error: IO, OUT_OF_MEMORY. */
senvec_status sv_texts_write(const sv_texts *texts, const size_t *pick, size_t count, const char *path, senvec_error *err);

#endif
