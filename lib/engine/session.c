/* A session: the threads and all memory that embedding needs.
 *
 * senvec_embed works through the texts in windows of SV_WINDOW_TEXTS. In each, the team tokenizes (texts handed out in small
 * chunks by an atomic counter), member 0 plans, and the team computes: each member takes panels from an atomic counter, or all
 * work on every panel together where the plan says so. One sv_team_run serves the whole call. */
#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "common/cpu/machine.h"
#include "common/limits.h"
#include "common/thread.h"
#include "engine/model.h"
#include "engine/plan.h"

/* Texts that a member takes at a time for tokenizing: some 10 us of work. */
#define TOKENIZE_CHUNK 8

struct senvec_session {
    const senvec_model *model;
    senvec_allocator allocator;
    sv_team *team;
    size_t threads;
    sv_workspace *workspaces; /* (threads) */
    uint32_t *ids;            /* (SV_WINDOW_TEXTS, max_seq_length) */
    sv_planning planning;

    /* The call in progress. */
    const senvec_text *texts;
    size_t count;
    float *out;
    size_t stride;
    bool normalize;
    senvec_embed_stats done;
    /* Its current window. */
    sv_tokens tokens[SV_WINDOW_TEXTS];
    sv_sequence sequences[SV_WINDOW_TEXTS];
    sv_plan plan;
    _Alignas(SV_CACHE_LINE) atomic_size_t next_chunk;
    _Alignas(SV_CACHE_LINE) atomic_size_t next_panel;
};

/* ------------------------------------------------------------------------------------------------------ the members' work */

static void tokenize_window(senvec_session *session, size_t first, size_t count) {
    size_t longest = session->model->config.max_seq_length;
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&session->next_chunk, TOKENIZE_CHUNK, memory_order_relaxed);
        if (begin >= count)
            return;
        size_t end = begin + TOKENIZE_CHUNK < count ? begin + TOKENIZE_CHUNK : count;
        for (size_t i = begin; i < end; i++) {
            senvec_text text = session->texts[first + i];
            uint32_t *ids = session->ids + i * longest;
            session->tokens[i] = sv_tokenizer_encode(session->model->tokenizer, text.data, text.length, ids, longest);
            session->sequences[i] = (sv_sequence){
                .text = {.ids = ids, .length = session->tokens[i].count},
                .out = session->out + (first + i) * session->stride,
                .normalize = session->normalize,
            };
        }
    }
}

static void plan_window(senvec_session *session, size_t count) {
    size_t lengths[SV_WINDOW_TEXTS];
    for (size_t i = 0; i < count; i++) {
        lengths[i] = session->tokens[i].count;
        session->done.tokens += session->tokens[i].count;
        session->done.truncated += session->tokens[i].truncated;
        session->done.invalid_utf8 += session->tokens[i].invalid_utf8;
    }
    sv_plan_make(&session->plan, &session->planning, lengths, count);
    atomic_store(&session->next_chunk, 0);
    atomic_store(&session->next_panel, 0);
}

static void compute_window(senvec_session *session, size_t member) {
    const sv_encoder *encoder = &session->model->encoder;
    const sv_plan *plan = &session->plan;
    if (plan->together) {
        sv_share share = {session->team, member, session->threads};
        for (size_t p = 0; p < plan->count; p++) {
            sv_encoder_run(encoder, session->workspaces, session->sequences + plan->panels[p].first, plan->panels[p].count,
                           share);
            sv_team_barrier(session->team); /* the next panel overwrites what pooling reads */
        }
        return;
    }
    sv_share alone = {NULL, 0, 1};
    for (;;) {
        size_t p = atomic_fetch_add_explicit(&session->next_panel, 1, memory_order_relaxed);
        if (p >= plan->count)
            return;
        sv_encoder_run(encoder, &session->workspaces[member], session->sequences + plan->panels[p].first, plan->panels[p].count,
                       alone);
    }
}

/* The whole call, on every member. Tokenizing a window ends at a barrier, after which member 0 plans; computing it ends at one,
 * after which its buffers may be filled again. */
static void embed_on_member(void *context, size_t member) {
    senvec_session *session = context;
    for (size_t first = 0; first < session->count; first += SV_WINDOW_TEXTS) {
        size_t left = session->count - first;
        size_t count = left < SV_WINDOW_TEXTS ? left : SV_WINDOW_TEXTS;
        tokenize_window(session, first, count);
        sv_team_barrier(session->team);
        if (member == 0)
            plan_window(session, count);
        sv_team_barrier(session->team);
        compute_window(session, member);
        sv_team_barrier(session->team);
    }
}

senvec_status senvec_embed(senvec_session *session, const senvec_text *texts, size_t count, float *out, size_t stride,
                           senvec_embed_stats *stats, senvec_error *err) {
    return senvec_embed_with(session, texts, count, NULL, out, stride, stats, err);
}

senvec_status senvec_embed_with(senvec_session *session, const senvec_text *texts, size_t count,
                                const senvec_embed_options *options, float *out, size_t stride, senvec_embed_stats *stats,
                                senvec_error *err) {
    if (!session || (count && (!texts || !out)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: a pointer is NULL");
    size_t dimensions = session->model->config.hidden;
    if (stride < dimensions)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: stride %zu is below the %zu floats of a vector", stride,
                       dimensions);
    for (size_t i = 0; i < count; i++)
        if (!texts[i].data && texts[i].length)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, i, "senvec_embed: text %zu has %zu bytes at NULL", i, texts[i].length);
    senvec_normalize normalize = options ? options->normalize : SENVEC_NORMALIZE_AUTO;
    if ((unsigned)normalize > SENVEC_NORMALIZE_OFF)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: normalize %u isn't a senvec_normalize",
                       (unsigned)normalize);
    if (count == 0)
        return SENVEC_OK;
    session->normalize =
        normalize == SENVEC_NORMALIZE_AUTO ? session->model->config.normalize : normalize == SENVEC_NORMALIZE_ON;
    session->texts = texts;
    session->count = count;
    session->out = out;
    session->stride = stride;
    session->done = (senvec_embed_stats){0};
    sv_team_run(session->team, embed_on_member, session);
    if (stats) {
        stats->tokens += session->done.tokens;
        stats->truncated += session->done.truncated;
        stats->invalid_utf8 += session->done.invalid_utf8;
    }
    return SENVEC_OK;
}

/* --------------------------------------------------------------------------------------------------------------- life cycle */

static senvec_status session_init(senvec_session *session, senvec_error *err) {
    const senvec_model *model = session->model;
    const sv_config *config = &model->config;
    const senvec_allocator *allocator = &session->allocator;
    size_t longest = config->max_seq_length, threads = session->threads;
    void *block;
    SENVEC_TRY(sv_alloc(allocator, SV_WINDOW_TEXTS * longest, sizeof(uint32_t), "token ids", &block, err));
    session->ids = block;
    SENVEC_TRY(sv_alloc(allocator, threads, sizeof(sv_workspace), "workspaces", &block, err));
    session->workspaces = memset(block, 0, threads * sizeof(sv_workspace));
    for (size_t i = 0; i < threads; i++)
        SENVEC_TRY(sv_workspace_init(&session->workspaces[i], &model->encoder, sv_plan_capacity(&session->planning), longest,
                                     allocator, err));
    return sv_team_open(threads, allocator, &session->team, err);
}

senvec_status senvec_session_open(const senvec_model *model, const senvec_session_options *options, senvec_session **out,
                                  senvec_error *err) {
    if (!model || !out)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_session_open: %s is NULL", model ? "out" : "model");
    size_t threads = options && options->threads ? options->threads : sv_machine_threads();
    if (threads > SV_MAX_THREADS) {
        if (options && options->threads)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%zu threads: give 1 to %u", threads, SV_MAX_THREADS);
        threads = SV_MAX_THREADS;
    }
    void *memory;
    SENVEC_TRY(sv_alloc(&model->allocator, 1, sizeof(senvec_session), "a session", &memory, err));
    senvec_session *session = memset(memory, 0, sizeof(senvec_session));
    session->model = model;
    session->allocator = model->allocator;
    session->threads = threads;
    session->planning = (sv_planning){
        .panel_tokens = sv_linear_panel_rows(&model->encoder.math),
        .longest = model->config.max_seq_length,
        .threads = threads,
        .square_cost = 2.0 * (double)(model->config.hidden * model->config.layers) / (double)model->encoder.linear_macs,
    };
    senvec_status status = session_init(session, err);
    if (status != SENVEC_OK) {
        senvec_session_free(session);
        return status;
    }
    *out = session;
    return SENVEC_OK;
}

void senvec_session_free(senvec_session *session) {
    if (!session)
        return;
    const senvec_model *model = session->model;
    senvec_allocator allocator = session->allocator;
    sv_team_close(session->team);
    if (session->workspaces)
        for (size_t i = 0; i < session->threads; i++)
            sv_workspace_release(&session->workspaces[i], &allocator);
    sv_free(&allocator, session->workspaces, session->threads, sizeof(sv_workspace));
    sv_free(&allocator, session->ids, SV_WINDOW_TEXTS * model->config.max_seq_length, sizeof(uint32_t));
    sv_free(&allocator, session, 1, sizeof *session);
}

size_t senvec_session_threads(const senvec_session *session) {
    return session->threads;
}
