/* Documents in the order of their scores, by a reranker's scores or by an embedder's cosines. Inside of the server. */
#ifndef SV_SERVER_RANKING_H
#define SV_SERVER_RANKING_H

#include "server/exchange.h"

typedef struct sv_ranked {
    size_t index;
    float score;
} sv_ranked;

/* The model is a reranker: the last text becomes the query that the others are scored with. `raw`: without a sigmoid. After the
 * texts. */
void sv_ranking_score(sv_exchange *exchange, bool raw);

#endif
