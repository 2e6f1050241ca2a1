/* Ranking documents by a query: TEI's POST /rerank {query, texts}, and POST /v1/rerank and /v2/rerank {query, documents} of
 * Cohere, Jina, Voyage and whoever copied them. The model embeds, so the score of a document is the cosine of its vector and
 * the query's, between -1 and 1: an order to rely on, but not the probabilities of a model that was trained to rank. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/decimal.h"
#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"
#include "server/ranking.h"
#include "server/vectors.h"

#define MOST 1000000000 /* documents */

/* Jina's and Voyage's clients show "detail", Cohere's "message". */
static void write_error(sv_bytes *answer, unsigned status, const char *message, size_t length) {
    (void)status;
    sv_bytes_text(answer, "{\"message\":");
    sv_bytes_string(answer, message, length);
    sv_bytes_text(answer, ",\"detail\":");
    sv_bytes_string(answer, message, length);
    sv_bytes_text(answer, "}");
}

const sv_dialect sv_cohere = {write_error};

/* Best first; of equal ones the first first. NaN, which no score should be, last. */
static int compare_ranked(const void *one, const void *other) {
    const sv_ranked *a = one, *b = other;
    if (a->score == b->score || (isnan(a->score) && isnan(b->score)))
        return a->index < b->index ? -1 : 1;
    return a->score > b->score || isnan(b->score) ? -1 : 1;
}

/* The texts are there, the query behind the others. */
static void begin_ranking(sv_exchange *exchange, bool raw) {
    bool reranks = exchange->served->info.task == SENVEC_TASK_RERANKER;
    exchange->normalize = SENVEC_NORMALIZE_ON; /* so that a scalar product is a cosine */
    if (!reranks)
        sv_members_documents_and_query(exchange);
    else
        sv_ranking_score(exchange, raw);
    sv_inputs_check_lengths(exchange);
}

static size_t documents(const sv_exchange *exchange) {
    return exchange->run ? exchange->count : exchange->count - 1; /* the last text is the query */
}

/* The documents by score. NULL: an error is the answer. */
static sv_ranked *rank(sv_exchange *exchange) {
    size_t count = documents(exchange);
    sv_ranked *order = sv_exchange_alloc(exchange, count, sizeof *order, "the scores");
    float *scores = order ? sv_exchange_alloc(exchange, count, sizeof *scores, "the scores") : NULL;
    if (!scores) {
        free(order);
        return NULL;
    }
    if (!exchange->run)
        sv_vectors_compare(exchange, count, count, scores);
    for (size_t i = 0; i < count; i++)
        order[i] = (sv_ranked){i, exchange->run ? exchange->vectors[i * exchange->width] : scores[i]};
    free(scores);
    qsort(order, count, sizeof *order, compare_ranked);
    return order;
}

static void write_score(sv_bytes *answer, const char *name, const sv_ranked *document) {
    char number[SV_DECIMAL_MAX];
    size_t length = sv_decimal_f32(document->score, number);
    sv_bytes_print(answer, "{\"index\":%zu,\"%s\":%.*s", document->index, name, (int)length, number);
}

static void write_text(sv_exchange *exchange, size_t index) {
    senvec_text text = exchange->texts[index];
    sv_bytes_string(&exchange->answer, text.data, text.length);
}

/* ------------------------------------------------------------------- TEI */

static void finish_tei(sv_exchange *exchange) {
    sv_ranked *order = rank(exchange);
    sv_bytes *answer = &exchange->answer;
    for (size_t i = 0; order && i < documents(exchange); i++) {
        sv_bytes_text(answer, i ? "," : "[");
        write_score(answer, "score", &order[i]);
        if (exchange->with_texts) {
            sv_bytes_text(answer, ",\"text\":");
            write_text(exchange, order[i].index);
        }
        sv_bytes_text(answer, "}");
    }
    if (order)
        sv_bytes_text(answer, "]");
    free(order);
}

/* ---------------------------------------------------------- Cohere and others */

static void write_document(sv_exchange *exchange, const sv_ranked *document, bool voyage) {
    sv_bytes *answer = &exchange->answer;
    write_score(answer, "relevance_score", document);
    if (exchange->with_texts) {
        sv_bytes_text(answer, voyage ? ",\"document\":" : ",\"document\":{\"text\":");
        write_text(exchange, document->index);
        sv_bytes_text(answer, voyage ? "" : "}");
    }
    sv_bytes_text(answer, "}");
}

/* Voyage's clients look for `data`, all others for `results`; otherwise it is one answer for all. */
static void finish_documents(sv_exchange *exchange, bool voyage) {
    sv_ranked *order = rank(exchange);
    sv_bytes *answer = &exchange->answer;
    if (!order)
        return;
    size_t count = documents(exchange), kept = exchange->top && exchange->top < count ? exchange->top : count;
    unsigned long long tokens = exchange->request.stats.tokens;
    sv_bytes_print(answer, "{\"id\":\"%s\",\"object\":\"list\",\"model\":", exchange->id);
    sv_bytes_string(answer, exchange->model, strlen(exchange->model));
    sv_bytes_print(answer, ",\"%s\":", voyage ? "data" : "results");
    for (size_t i = 0; i < kept; i++) {
        sv_bytes_text(answer, i ? "," : "[");
        write_document(exchange, &order[i], voyage);
    }
    sv_bytes_print(answer,
                   "],\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu},"
                   "\"meta\":{\"api_version\":{\"version\":\"%s\"},\"billed_units\":{\"search_units\":1}}}",
                   tokens, tokens, strncmp(exchange->path, "/v2/", 4) == 0 ? "2" : "1");
    free(order);
}

static void finish_results(sv_exchange *exchange) {
    finish_documents(exchange, false);
}

static void finish_data(sv_exchange *exchange) {
    finish_documents(exchange, true);
}

static void begin_documents(sv_exchange *exchange) {
    exchange->finish = sv_inputs_names(exchange, "top_k") ? finish_data : finish_results;
    if (sv_inputs_number(exchange, "top_n", 1, MOST, &exchange->top) &&
        sv_inputs_number(exchange, "top_k", 1, MOST, &exchange->top) &&
        sv_inputs_flag(exchange, "return_documents", &exchange->with_texts) && sv_members_truncation(exchange) &&
        sv_inputs_texts_and(exchange, "documents", SV_INPUT_OBJECTS, "query"))
        begin_ranking(exchange, false);
}

void sv_rerank_begin(sv_exchange *exchange) {
    if (sv_exchange_parse(exchange))
        begin_documents(exchange);
}

void sv_tei_rerank_begin(sv_exchange *exchange) {
    bool raw = false;
    if (!sv_exchange_parse(exchange))
        return;
    if (!sv_inputs_has(exchange, "texts") && sv_inputs_has(exchange, "documents")) { /* infinity, vLLM */
        begin_documents(exchange);
        return;
    }
    exchange->finish = finish_tei;
    if (sv_inputs_flag(exchange, "raw_scores", &raw) && sv_inputs_flag(exchange, "return_text", &exchange->with_texts) &&
        sv_members_truncation(exchange) && sv_inputs_texts_and(exchange, "texts", SV_INPUT_STRINGS, "query"))
        begin_ranking(exchange, raw);
}
