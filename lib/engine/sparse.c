/* What is made of a text's tokens without pooling: the weights of the vocabulary's words, and the tokens' vectors. */
#include <stdlib.h>

#include "engine/session.h"
#include "model/pooling.h"

/* Whether `a` is kept rather than `b`, where there isn't room for both. */
static bool heavier(senvec_weight a, senvec_weight b) {
    return a.value > b.value || (a.value == b.value && a.id < b.id);
}

/* A heap of which the lightest is on top: moves item `at` down to its place. */
static void sift(senvec_weight *heap, size_t count, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heavier(heap[child], heap[child + 1]))
            child++;
        if (!heavier(heap[at], heap[child]))
            return;
        const senvec_weight moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

static int by_id(const void *a, const void *b) {
    const uint32_t first = ((const senvec_weight *)a)->id, second = ((const senvec_weight *)b)->id;
    return (first > second) - (first < second);
}

/* The heaviest of the words, ids ascending. */
static size_t take_words(const float *words, size_t vocabulary, senvec_weight *out, size_t capacity) {
    size_t count = 0;
    bool full = false;
    for (size_t i = 0; i < vocabulary; i++) {
        const senvec_weight word = {(uint32_t)i, words[i]};
        if (!(word.value > 0))
            continue;
        if (count < capacity) {
            out[count++] = word;
            continue;
        }
        if (!full)
            for (size_t at = count / 2; at-- > 0;)
                sift(out, count, at);
        full = true;
        if (heavier(word, out[0])) {
            out[0] = word;
            sift(out, count, 0);
        }
    }
    if (full)
        qsort(out, count, sizeof *out, by_id);
    return count;
}

static const senvec_embed_options defaults = {0};

/* The options that don't depend on what is made of a text. */
static senvec_status check_options(const senvec_model *model, const senvec_embed_options *options, const char *call,
                                   senvec_error *err) {
    if (options->dimensions)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: dimensions %zu: only senvec_embed_with cuts vectors", call,
                       options->dimensions);
    return sv_model_check_reading(model, options, call, err);
}

senvec_status senvec_embed_sparse(senvec_session *session, const senvec_text *texts, size_t count, senvec_weight *out,
                                  size_t capacity, size_t *counts, senvec_embed_stats *stats, senvec_error *err) {
    return senvec_embed_sparse_with(session, texts, count, NULL, out, capacity, counts, stats, err);
}

senvec_status senvec_embed_sparse_with(senvec_session *session, const senvec_text *texts, size_t count,
                                       const senvec_embed_options *options, senvec_weight *out, size_t capacity, size_t *counts,
                                       senvec_embed_stats *stats, senvec_error *err) {
    options = options ? options : &defaults;
    if (!session || (count && (!texts || !out || !counts)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed_sparse: a pointer is NULL");
    const sv_config *config = &session->model->config;
    if (config->task != SENVEC_TASK_SPARSE)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: is no sparse embedder but a model for %s; words need a ...ForMaskedLM",
                       session->model->files.path, senvec_task_name(config->task));
    if (capacity == 0)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed_sparse: a capacity of 0 has no room for a word");
    if (options->normalize != SENVEC_NORMALIZE_AUTO)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed_sparse: normalize %u: word weights aren't normalised",
                       (unsigned)options->normalize);
    SENVEC_TRY(check_options(session->model, options, "senvec_embed_sparse", err));
    SENVEC_TRY(sv_session_check_texts(texts, count, "senvec_embed_sparse", err));
    for (size_t first = 0; first < count; first += SV_SPARSE_TEXTS) {
        const size_t some = count - first < SV_SPARSE_TEXTS ? count - first : SV_SPARSE_TEXTS;
        SENVEC_TRY(sv_session_run(session,
                                  &(sv_job){.texts = texts + first,
                                            .count = some,
                                            .same = options,
                                            .wanted = SV_WANTED_WORDS,
                                            .out = session->words,
                                            .stride = config->vocabulary},
                                  stats, err));
        for (size_t i = 0; i < some; i++)
            counts[first + i] =
                take_words(session->words + i * config->vocabulary, config->vocabulary, out + (first + i) * capacity, capacity);
    }
    return SENVEC_OK;
}

/* ON divides each of `count` vectors by its length. */
static void normalize_tokens(const sv_config *config, senvec_normalize normalize, float *vectors, size_t count) {
    for (size_t i = 0; normalize == SENVEC_NORMALIZE_ON && i < count; i++)
        sv_divide_by_length(vectors + i * config->hidden, config->hidden);
}

senvec_status senvec_embed_tokens(senvec_session *session, const senvec_text *texts, size_t count, float *out, size_t capacity,
                                  size_t *counts, senvec_embed_stats *stats, senvec_error *err) {
    return senvec_embed_tokens_with(session, texts, count, NULL, out, capacity, counts, stats, err);
}

senvec_status senvec_embed_tokens_with(senvec_session *session, const senvec_text *texts, size_t count,
                                       const senvec_embed_options *options, float *out, size_t capacity, size_t *counts,
                                       senvec_embed_stats *stats, senvec_error *err) {
    options = options ? options : &defaults;
    if (!session || (count && (!texts || !out || !counts)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed_tokens: a pointer is NULL");
    const sv_config *config = &session->model->config;
    if (config->task != SENVEC_TASK_EMBEDDING)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: is no embedder but a %s", session->model->files.path,
                       senvec_task_name(config->task));
    if ((unsigned)options->normalize > SENVEC_NORMALIZE_OFF)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed_tokens: normalize %u isn't a senvec_normalize",
                       (unsigned)options->normalize);
    SENVEC_TRY(check_options(session->model, options, "senvec_embed_tokens", err));
    SENVEC_TRY(sv_session_check_texts(texts, count, "senvec_embed_tokens", err));
    sv_job job = {.texts = texts, .count = count, .same = options, .wanted = SV_WANTED_TOKENS, .out = out, .count_only = true};
    if (capacity / config->max_seq_length < count) {
        senvec_embed_stats needed = {0};
        SENVEC_TRY(sv_session_run(session, &job, &needed, err));
        if (needed.tokens > capacity)
            return sv_fail(err, SENVEC_TOO_LARGE, 0, "senvec_embed_tokens: %llu tokens, but room for %zu vectors",
                           (unsigned long long)needed.tokens, capacity);
    }
    job.counts = counts;
    job.count_only = false;
    SENVEC_TRY(sv_session_run(session, &job, stats, err));
    if (count)
        normalize_tokens(config, options->normalize, out, session->done.tokens);
    return SENVEC_OK;
}
