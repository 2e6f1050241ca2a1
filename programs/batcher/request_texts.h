/* The facts about a request's texts that are needed before they are computed: their tokens, and the keys of their vectors.
 * Inside of the batcher. */
#ifndef SV_BATCHER_REQUEST_TEXTS_H
#define SV_BATCHER_REQUEST_TEXTS_H

#include "batcher/batcher.h"

/* Fills in the request's lengths, stats and, if there is a cache and room for them, keys. A text whose vector the cache has
 * counts as one token of work. Without memory for the keys there are none (`keys` becomes NULL). Thread safe. */
void sv_request_texts_count(const senvec_model *model, sv_result_cache *cache, sv_request *request);

static inline const senvec_embed_options *sv_request_options(const sv_request *request, size_t text) {
    return request->last_options && text + 1 == request->count ? request->last_options : request->options;
}

#endif
