/* Scores of pairs of texts: the logits, which the forward pass gives, and what is made of them. */
#include <math.h>

#include "engine/session.h"

static void softmax(float *x, size_t count) {
    float largest = x[0];
    double sum = 0;
    for (size_t i = 1; i < count; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < count; i++)
        sum += x[i] = expf(x[i] - largest);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(x[i] / sum);
}

static void activate(senvec_activation activation, float *x, size_t count) {
    if (activation == SENVEC_ACTIVATION_SOFTMAX)
        softmax(x, count);
    else if (activation == SENVEC_ACTIVATION_SIGMOID)
        for (size_t i = 0; i < count; i++)
            x[i] = (float)(1 / (1 + exp(-(double)x[i])));
}

static senvec_status check(const senvec_session *session, const senvec_pair *pairs, size_t count,
                           const senvec_score_options *options, const float *out, size_t stride, senvec_error *err) {
    if (!session || (count && (!pairs || !out)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_score_pairs: a pointer is NULL");
    const senvec_model *model = session->model;
    if (!sv_session_scores(session))
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "%s: is no reranker or classifier but a model for %s; scores need a checkpoint with a head for them",
                       model->files.path, senvec_task_name(model->config.task));
    if (stride < model->config.labels)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_score_pairs: stride %zu is below the %zu scores of a pair",
                       stride, model->config.labels);
    if ((unsigned)options->activation > SENVEC_ACTIVATION_SOFTMAX)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_score_pairs: activation %u isn't a senvec_activation",
                       (unsigned)options->activation);
    SENVEC_TRY(sv_model_check_truncation(options->truncation, "senvec_score_pairs", err));
    if (!options->single)
        SENVEC_TRY(sv_model_check_pairs(model, err));
    for (size_t i = 0; i < count; i++)
        if ((!pairs[i].first.data && pairs[i].first.length) ||
            (!options->single && !pairs[i].second.data && pairs[i].second.length))
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, i, "senvec_score_pairs: pair %zu has bytes at NULL", i);
    return SENVEC_OK;
}

senvec_status senvec_score_pairs(senvec_session *session, const senvec_pair *pairs, size_t count,
                                 const senvec_score_options *options, float *out, size_t stride, senvec_embed_stats *stats,
                                 senvec_error *err) {
    static const senvec_score_options defaults = {0};
    options = options ? options : &defaults;
    SENVEC_TRY(check(session, pairs, count, options, out, stride, err));
    const sv_config *config = &session->model->config;
    SENVEC_TRY(sv_session_run(
        session,
        &(sv_job){.pairs = pairs, .scoring = options, .count = count, .wanted = SV_WANTED_SCORES, .out = out, .stride = stride},
        stats, err));
    const senvec_activation activation =
        options->activation == SENVEC_ACTIVATION_AUTO ? config->score_activation : options->activation;
    for (size_t i = 0; i < count; i++)
        activate(activation, out + i * stride, config->labels);
    return SENVEC_OK;
}

const char *senvec_label_name(const senvec_model *model, size_t index) {
    return model->labels && index < model->config.labels ? model->labels[index] : NULL;
}
