/* The texts that a study measures with: the built-in ones or a sample of the user's own. */
#ifndef SV_IO_TEXTS_H
#define SV_IO_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"
#include "common/status.h"
#include "io/corpus.h"

/* The built-in corpus: skill descriptions of 8 to 15 tokens, written for this project. */
extern const char *const sv_default_corpus[];
extern const size_t sv_default_corpus_count;
/* How many texts a study measures with by default: the built-in ones are repeated to this number. */
#define SV_STUDY_DEFAULT_TEXTS 1000

/* Sentences on many subjects and short search queries, also our own: sentences.c. */
extern const char *const sv_sentences[];
extern const size_t sv_sentence_count;
extern const char *const sv_queries[];
extern const size_t sv_query_count;

/* Names of the sets of texts that a study works with. */
#define SV_TEXTS_CORPUS "corpus"           /* what it is about */
#define SV_TEXTS_QUERY "query"             /* search queries of two to four words */
#define SV_TEXTS_LISTING "80 tokens"       /* about 80 tokens each */
#define SV_TEXTS_LONG "256 tokens"         /* more than 256 tokens each: models cut them there */
#define SV_TEXTS_WIDE "wide"               /* 1 to 256 tokens: queries, sentences, paragraphs */
#define SV_TEXTS_CALIBRATION "calibration" /* the same of other sentences, for what is calibrated */

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
/* Makes one of the sets of our own sentences by its name (all but SV_TEXTS_CORPUS): always the same texts. No sentence is in
 * both SV_TEXTS_WIDE and SV_TEXTS_CALIBRATION. Error: OUT_OF_MEMORY. */
senvec_status sv_texts_make(sv_texts *texts, const char *name, senvec_error *err);
/* Appends a copy of a text, invalid bytes replaced; the caller has made room in texts->texts. Doesn't look for equal texts.
 * Error: OUT_OF_MEMORY. */
senvec_status sv_texts_append(sv_texts *texts, senvec_text text, senvec_error *err);
/* A zeroed one is accepted. */
void sv_texts_release(sv_texts *texts);

/* Writes texts[pick[0 .. count)] (all of them in order if `pick` is NULL) as a JSON array of strings, for a worker to read.
 * Error: IO, OUT_OF_MEMORY. */
senvec_status sv_texts_write(const sv_texts *texts, const size_t *pick, size_t count, const char *path, senvec_error *err);

#endif
