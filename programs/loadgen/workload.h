/* The texts that requests are made of, and how a request is drawn: its size from one mix, the length of its texts from
 * another. */
#ifndef SV_LOADGEN_WORKLOAD_H
#define SV_LOADGEN_WORKLOAD_H

#include "common/memory.h"
#include "loadgen/mix.h"

/* A request of `count` texts: sets[length] of the workload, from `first` on, cyclically. `kind` numbers the combinations of
 * length and size. */
typedef struct sv_load_request {
    size_t length; /* index in the mix of lengths; 0 if there is none */
    size_t kind;   /* length * sizes.count + index in the mix of sizes */
    size_t first, count;
} sv_load_request;

typedef struct sv_load_set {
    senvec_text *texts; /* [count], valid UTF-8 */
    size_t count;
} sv_load_set;

typedef struct sv_workload {
    sv_arena arena;
    sv_mix sizes;   /* texts of a request */
    sv_mix lengths; /* words of a text; count 0: the texts are as they were given */
    sv_load_set sets[SV_MIX_MAX];
    size_t set_count;
} sv_workload;

/* `texts`: `count` (at least 1) of valid UTF-8; they are copied. With `lengths`, which may be NULL, each set has texts of
 * exactly that many words, put together from the given ones by `seed`. Error: OUT_OF_MEMORY, INVALID_ARGUMENT (lengths, and no
 * word in the texts). */
senvec_status sv_workload_make(sv_workload *workload, const senvec_text *texts, size_t count, const sv_mix *sizes,
                               const sv_mix *lengths, uint64_t seed, senvec_error *err);
/* A zeroed one is accepted. */
void sv_workload_release(sv_workload *workload);

/* How many kinds of requests there are, and what they are made of; 0 words: as given. */
size_t sv_load_kinds(const sv_workload *workload);
void sv_load_kind(const sv_workload *workload, size_t kind, size_t *texts, size_t *words);

sv_load_request sv_load_draw(const sv_workload *workload, sv_random *random);
/* The index in its set of the request's text i. */
size_t sv_load_text_index(const sv_workload *workload, const sv_load_request *request, size_t i);

#endif
