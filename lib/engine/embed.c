/* Vectors of texts: senvec_embed and its kin. All that can be wrong with a call is found before anything is computed. */
#include "engine/session.h"

static senvec_status check_options(const senvec_model *model, const senvec_embed_options *options, size_t stride,
                                   senvec_error *err) {
    size_t dimensions = options->dimensions ? options->dimensions : sv_model_dimensions(model);
    if ((unsigned)options->normalize > SENVEC_NORMALIZE_OFF)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: normalize %u isn't a senvec_normalize",
                       (unsigned)options->normalize);
    if (dimensions > model->config.dimensions)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "dimensions %zu: this model's vectors have %zu", dimensions,
                       model->config.dimensions);
    if (stride < dimensions)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: stride %zu is below the %zu floats of a vector", stride,
                       dimensions);
    return sv_model_check_reading(model, options, "senvec_embed", err);
}

static senvec_status check_task(const senvec_session *session, senvec_error *err) {
    const senvec_model *model = session->model;
    if (model->config.task == SENVEC_TASK_EMBEDDING)
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: is a %s, which gives no vectors; use %s", model->files.path,
                   senvec_task_name(model->config.task),
                   sv_session_scores(session) ? "senvec_score_pairs ('senvec rerank')" : "senvec_embed_sparse");
}

static senvec_status check_call(const senvec_session *session, const sv_job *job, senvec_error *err) {
    SENVEC_TRY(check_task(session, err));
    SENVEC_TRY(sv_session_check_texts(job->texts, job->count, "senvec_embed", err));
    const senvec_embed_options *checked = NULL;
    for (size_t i = 0; i < (job->each ? job->count : 1); i++) {
        const senvec_embed_options *options = sv_job_options(job, i);
        if (options != checked)
            SENVEC_TRY(check_options(session->model, options, job->stride, err));
        checked = options;
    }
    return SENVEC_OK;
}

static senvec_status embed(senvec_session *session, const sv_job *job, senvec_embed_stats *stats, senvec_error *err) {
    if (!session || (job->count && (!job->texts || !job->out)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: a pointer is NULL");
    SENVEC_TRY(check_call(session, job, err));
    return sv_session_run(session, job, stats, err);
}

senvec_status senvec_embed(senvec_session *session, const senvec_text *texts, size_t count, float *out, size_t stride,
                           senvec_embed_stats *stats, senvec_error *err) {
    return senvec_embed_with(session, texts, count, NULL, out, stride, stats, err);
}

senvec_status senvec_embed_with(senvec_session *session, const senvec_text *texts, size_t count,
                                const senvec_embed_options *options, float *out, size_t stride, senvec_embed_stats *stats,
                                senvec_error *err) {
    return embed(session, &(sv_job){.texts = texts, .count = count, .same = options, .out = out, .stride = stride}, stats, err);
}

senvec_status senvec_embed_each(senvec_session *session, const senvec_text *texts, size_t count,
                                const senvec_embed_options *const *options, float *out, size_t stride,
                                senvec_embed_stats *stats, senvec_error *err) {
    if (count && !options)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed_each: options is NULL");
    if (count == 0)
        return session ? SENVEC_OK : sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: a pointer is NULL");
    return embed(session, &(sv_job){.texts = texts, .count = count, .each = options, .out = out, .stride = stride}, stats, err);
}
