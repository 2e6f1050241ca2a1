/* Texts from files through a session to an output: reading, computing and writing at the same time, in constant memory. */
#ifndef SV_CLI_STREAM_H
#define SV_CLI_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "cli/common.h"
#include "cli/keep.h"
#include "cli/output.h"
#include "cli/parts.h"

typedef struct sv_stream {
    char **paths; /* "-" is standard input */
    size_t path_count;
    const sv_text_options *text;
    const sv_keep *keep;
    size_t shard, shards; /* of each `shards` records the one numbered `shard`, from 0; shards 1: all */
    /* Computes as senvec_embed_with does, with `context`. */
    senvec_status (*compute)(void *context, const senvec_text *texts, size_t count, const senvec_embed_options *options,
                             float *out, size_t stride, senvec_embed_stats *stats, senvec_error *err);
    void *context;
    senvec_embed_options embed;
    size_t dimensions; /* of a vector: what `embed` or the model says */
    uint64_t done;     /* of the texts to be embedded the first ones, whose vectors an earlier run has written */
    sv_output *output; /* where vectors go; NULL: to `parts` */
    sv_parts *parts;
    sv_output_format format; /* of the output */
    bool quiet;
    bool bare; /* no progress: the terminal shows the vectors */
} sv_stream;

typedef struct sv_stream_result {
    uint64_t texts;
    uint64_t skipped;         /* broken records */
    char first_skipped[1000]; /* what was wrong with the first */
    senvec_embed_stats stats;
    double seconds;   /* in all */
    double computing; /* of those, inside of senvec_embed */
} sv_stream_result;

/* Embeds every text in order. A text is computed as soon as the session is idle, alone or with those that came meanwhile, and
 * its vector is handed on as soon as it is there: a slow pipe is answered line by line. Where a file turns out to be broken,
 * the texts before are written first. Errors: as sv_text_open, sv_corpus_next, senvec_embed, sv_output_write and
 * sv_parts_write; OUT_OF_MEMORY; SYSTEM (no thread). */
senvec_status sv_stream_run(const sv_stream *stream, sv_stream_result *result, senvec_error *err);

#endif
