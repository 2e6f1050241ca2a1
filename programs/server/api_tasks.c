/* What other models than embedders are for: the scores of rerankers and classifiers, and TEI's POST /predict; sparse vectors,
 * POST /embed_sparse. And what an embedder has before pooling, POST /embed_all. Their texts wait in the batcher's queue like
 * any others, and are computed by the functions here (sv_request.run). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/decimal.h"
#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"
#include "server/ranking.h"

#define SPARSE_WORDS 2048u  /* kept of a text, the heaviest; SPLADE's texts have some hundreds */
#define NUMBERS_OF_A_WORD 5 /* of some 12 bytes in the answer: its braces, names, id and weight */

/* Calls `each` for the texts that lie one behind the other. */
typedef senvec_status run_some(sv_exchange *exchange, senvec_session *session, size_t first, size_t count);

static senvec_status run_each(sv_request *request, senvec_session *session, const uint32_t *which, size_t count,
                              run_some *some) {
    senvec_status status = SENVEC_OK;
    for (size_t i = 0, length; i < count && status == SENVEC_OK; i += length) {
        length = 1;
        while (i + length < count && which[i + length] == which[i] + length)
            length++;
        status = some(request->context, session, which[i], length);
    }
    return status;
}

/* ------------------------------------------------------------------ scores */

static senvec_status score_some(sv_exchange *exchange, senvec_session *session, size_t first, size_t count) {
    senvec_pair pairs[SV_MAX_BATCH_TEXTS];
    const senvec_score_options options = {
        .activation = exchange->activation, .single = !sv_inputs_are_pairs(exchange), .truncation = exchange->truncation};
    for (size_t i = 0; i < count; i++)
        pairs[i] = sv_inputs_pair(exchange, first + i);
    return senvec_score_pairs(session, pairs, count, &options, exchange->vectors + first * exchange->width, exchange->width,
                              NULL, NULL);
}

static senvec_status run_scores(sv_request *request, senvec_session *session, const uint32_t *which, size_t count) {
    return run_each(request, session, which, count, score_some);
}

/* Tokens of a text but for those around it. */
static size_t tokens_of(const sv_exchange *exchange, senvec_text text) {
    size_t count = 2, most = exchange->served->info.max_seq_length;
    senvec_tokenize_whole(exchange->served->facts, text, NULL, 0, &count, NULL);
    return count - 2 < most ? count - 2 : most;
}

/* Tokens that stand in a pair besides those around a single text: one separator, or two. */
static size_t tokens_between(const sv_exchange *exchange) {
    uint32_t ids[SV_MAX_POSITIONS];
    size_t count = 3;
    senvec_tokenize_pair(exchange->served->facts, &(senvec_pair){0}, exchange->truncation, ids, NULL, &count, NULL, NULL);
    return count - 2;
}

static void score(sv_exchange *exchange, bool raw) {
    size_t labels = exchange->served->info.labels;
    exchange->run = run_scores;
    exchange->width = labels;
    exchange->activation = raw ? SENVEC_ACTIVATION_NONE : labels > 1 ? SENVEC_ACTIVATION_SOFTMAX : SENVEC_ACTIVATION_SIGMOID;
}

void sv_ranking_score(sv_exchange *exchange, bool raw) {
    exchange->query = exchange->texts[--exchange->count];
    if (!exchange->query.data)
        exchange->query.data = "";
    exchange->extra_tokens = tokens_of(exchange, exchange->query) + tokens_between(exchange);
    score(exchange, raw);
}

/* ----------------------------------------------------------------- predict */

static int compare_scores(const void *one, const void *other) {
    const sv_ranked *a = one, *b = other;
    return a->score != b->score ? (a->score > b->score ? -1 : 1) : (a->index > b->index) - (a->index < b->index);
}

static void write_labels(sv_exchange *exchange, const float *scores, sv_ranked *order) {
    sv_bytes *answer = &exchange->answer;
    size_t labels = exchange->width;
    for (size_t i = 0; i < labels; i++)
        order[i] = (sv_ranked){i, scores[i]};
    qsort(order, labels, sizeof *order, compare_scores);
    for (size_t i = 0; i < labels; i++) {
        const char *name = senvec_label_name(exchange->served->facts, order[i].index);
        char number[SV_DECIMAL_MAX];
        size_t length = sv_decimal_f32(order[i].score, number);
        sv_bytes_print(answer, "%s{\"score\":%.*s,\"label\":", i ? "," : "[", (int)length, number);
        sv_bytes_string(answer, name ? name : "", name ? strlen(name) : 0);
        sv_bytes_text(answer, "}");
    }
    sv_bytes_text(answer, "]");
}

static void finish_labels(sv_exchange *exchange) {
    sv_ranked *order = sv_exchange_alloc(exchange, exchange->width, sizeof *order, "the labels");
    for (size_t i = 0; order && i < exchange->count; i++) {
        if (!exchange->single)
            sv_bytes_text(&exchange->answer, i ? "," : "[");
        write_labels(exchange, exchange->vectors + i * exchange->width, order);
    }
    if (order && !exchange->single)
        sv_bytes_text(&exchange->answer, "]");
    free(order);
}

void sv_tei_predict(sv_exchange *exchange) {
    bool raw = false;
    exchange->finish = finish_labels;
    if (!sv_exchange_parse(exchange) || !sv_inputs_flag(exchange, "raw_scores", &raw) || !sv_members_truncation(exchange) ||
        !sv_inputs_pairs(exchange, "inputs"))
        return;
    score(exchange, raw);
    exchange->answer_numbers = exchange->count * exchange->width * NUMBERS_OF_A_WORD;
    sv_inputs_check_lengths(exchange);
}

/* ------------------------------------------------------------------ sparse */

static senvec_weight *words_at(sv_exchange *exchange, size_t i) {
    return (senvec_weight *)(void *)(exchange->vectors + i * exchange->width);
}

static senvec_status sparse_some(sv_exchange *exchange, senvec_session *session, size_t first, size_t count) {
    const senvec_embed_options options = {.truncation = exchange->truncation};
    return senvec_embed_sparse_with(session, exchange->texts + first, count, &options, words_at(exchange, first), SPARSE_WORDS,
                                    exchange->counts + first, NULL, NULL);
}

static senvec_status run_sparse(sv_request *request, senvec_session *session, const uint32_t *which, size_t count) {
    return run_each(request, session, which, count, sparse_some);
}

static void finish_sparse(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    for (size_t i = 0; i < exchange->count; i++) {
        const senvec_weight *words = words_at(exchange, i);
        sv_bytes_text(answer, i ? ",[" : "[[");
        for (size_t j = 0; j < exchange->counts[i]; j++) {
            char number[SV_DECIMAL_MAX];
            size_t length = sv_decimal_f32(words[j].value, number);
            sv_bytes_print(answer, "%s{\"index\":%u,\"value\":%.*s}", j ? "," : "", words[j].id, (int)length, number);
        }
        sv_bytes_text(answer, "]");
    }
    sv_bytes_text(answer, "]");
}

void sv_tei_embed_sparse(sv_exchange *exchange) {
    exchange->finish = finish_sparse;
    exchange->run = run_sparse;
    exchange->width = SPARSE_WORDS * sizeof(senvec_weight) / sizeof(float);
    if (!sv_exchange_parse(exchange) || !sv_members_truncation(exchange) ||
        !sv_inputs_texts(exchange, "inputs", SV_INPUT_STRINGS) || !sv_inputs_check_lengths(exchange))
        return;
    exchange->answer_numbers = exchange->count * SPARSE_WORDS * NUMBERS_OF_A_WORD;
    exchange->counts = sv_exchange_alloc(exchange, exchange->count, sizeof *exchange->counts, "the words");
}

/* ------------------------------------------------------------------ tokens */

/* counts[i] is where the vectors of text i begin. */
static senvec_status tokens_some(sv_exchange *exchange, senvec_session *session, size_t first, size_t count) {
    size_t counts[SV_MAX_BATCH_TEXTS], begin = exchange->counts[first];
    return senvec_embed_tokens_with(session, exchange->texts + first, count, &exchange->options,
                                    exchange->vectors + begin * exchange->width, exchange->counts[first + count] - begin,
                                    counts, NULL, NULL);
}

static senvec_status run_tokens(sv_request *request, senvec_session *session, const uint32_t *which, size_t count) {
    return run_each(request, session, which, count, tokens_some);
}

static void finish_tokens(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    for (size_t i = 0; i < exchange->count; i++) {
        sv_bytes_text(answer, i ? ",[" : "[[");
        for (size_t t = exchange->counts[i]; t < exchange->counts[i + 1]; t++) {
            sv_bytes_text(answer, t > exchange->counts[i] ? "," : "");
            sv_bytes_floats(answer, exchange->vectors + t * exchange->width, exchange->width);
        }
        sv_bytes_text(answer, "]");
    }
    sv_bytes_text(answer, "]");
}

/* counts[i] <- where the vectors of text i begin, one for each token; counts[count] <- their number. A prompt is tokenized
 * together with the text behind it. */
static void count_vectors(sv_exchange *exchange) {
    const senvec_model_info *info = &exchange->served->info;
    const char *prompt = exchange->prompt ? exchange->prompt : sv_members_default_prompt(exchange->served);
    size_t length = strlen(prompt), longest = 0, all = 0;
    for (size_t i = 0; i < exchange->count; i++)
        longest = exchange->texts[i].length > longest ? exchange->texts[i].length : longest;
    char *joined = sv_exchange_alloc(exchange, length ? length + longest : 1, 1, "a text with its prompt");
    if (!joined)
        return;
    memcpy(joined, prompt, length);
    for (size_t i = 0; i < exchange->count; i++) {
        senvec_text text = exchange->texts[i];
        if (length) {
            memcpy(joined + length, text.data, text.length);
            text = (senvec_text){joined, length + text.length};
        }
        const size_t tokens = tokens_of(exchange, text) + 2;
        exchange->counts[i] = all;
        all += tokens < info->max_seq_length ? tokens : info->max_seq_length;
    }
    free(joined);
    exchange->counts[exchange->count] = all;
}

void sv_tei_embed_all(sv_exchange *exchange) {
    exchange->finish = finish_tokens;
    exchange->run = run_tokens;
    exchange->width = exchange->served->info.hidden;
    if (!sv_exchange_parse(exchange) || !sv_members_truncation(exchange) || !sv_members_prompt(exchange, "prompt_name") ||
        !sv_inputs_texts(exchange, "inputs", SV_INPUT_STRINGS) || !sv_inputs_check_lengths(exchange))
        return;
    exchange->counts = sv_exchange_alloc(exchange, exchange->count + 1, sizeof *exchange->counts, "the tokens");
    if (exchange->counts)
        count_vectors(exchange);
    if (exchange->status)
        return;
    exchange->answer_numbers = exchange->counts[exchange->count] * exchange->width;
    exchange->vectors =
        sv_exchange_alloc(exchange, exchange->counts[exchange->count], exchange->width * sizeof(float), "the vectors");
}
