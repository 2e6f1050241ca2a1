/* The inside of a session: one pipeline from texts or pairs of texts to vectors, token vectors, scores or word weights. */
#ifndef SV_ENGINE_SESSION_H
#define SV_ENGINE_SESSION_H

#include <stdatomic.h>
#include <sys/types.h>

#include "common/thread.h"
#include "engine/model.h"
#include "engine/plan.h"

/* One call. */
typedef struct sv_job {
    const senvec_text *texts;            /* (count), or */
    const senvec_pair *pairs;            /* (count), if `texts` is NULL */
    const senvec_score_options *scoring; /* of the pairs */
    size_t count;
    sv_wanted wanted;
    float *out;                       /* the result of text i is at out[i * stride]; token vectors follow those of text i - 1 */
    size_t stride;                    /* floats */
    const senvec_embed_options *same; /* options for all texts, if `each` is NULL; NULL: the defaults */
    const senvec_embed_options *const *each; /* (count) */
    size_t *counts;                          /* (count): the number of tokens of each text; NULL: not wanted */
    bool count_only;                         /* only `counts` and the statistics are computed */
} sv_job;

/* Room for a prompt and the text after it. */
typedef struct sv_joined {
    char *bytes;
    size_t capacity;
} sv_joined;

struct senvec_session {
    const senvec_model *model;
    pid_t process; /* the process that opened it: no other process has its threads */
    senvec_allocator allocator;
    sv_team *team;
    size_t threads;
    sv_workspace *workspaces; /* (threads) */
    uint32_t *ids;            /* (SV_WINDOW_TEXTS, max_seq_length) */
    uint32_t *types; /* (threads, max_seq_length): token types of the pair that a thread is tokenizing; NULL: the model takes no
                        pairs */
    sv_joined *joined; /* (threads) */
    float *words;      /* (SV_SPARSE_TEXTS, V): word weights of a sparse embedder; NULL for other models */
    sv_planning planning;

    /* The call in progress. */
    sv_job job;
    senvec_embed_stats done;
    atomic_bool no_memory;    /* set if there was no memory to tokenize some text */
    atomic_size_t not_finite; /* the first text whose result isn't finite; `count`: none */
    /* Its current window. */
    sv_tokens tokens[SV_WINDOW_TEXTS];
    sv_sequence sequences[SV_WINDOW_TEXTS];
    sv_plan plan;
    _Alignas(SV_CACHE_LINE) atomic_size_t next_chunk;
    _Alignas(SV_CACHE_LINE) atomic_size_t next_panel;
};

/* The number of texts whose words are computed at a time; each needs a float for every word of the vocabulary. */
#define SV_SPARSE_TEXTS 16

/* Whether the model gives scores for labels (a reranker or classifier). */
bool sv_session_scores(const senvec_session *session);

/* Fails if some text has bytes at NULL; `call` is for the message. Error: INVALID_ARGUMENT. */
senvec_status sv_session_check_texts(const senvec_text *texts, size_t count, const char *call, senvec_error *err);

/* The options of one text. */
const senvec_embed_options *sv_job_options(const sv_job *job, size_t text);

/* Does a job whose arguments have been checked. `stats` may be NULL. Errors: OUT_OF_MEMORY (for a prompt and its text, or a
 * word of many thousand bytes), FORMAT (a result isn't finite), UNSUPPORTED (called in another process). */
senvec_status sv_session_run(senvec_session *session, const sv_job *job, senvec_embed_stats *stats, senvec_error *err);

#endif
