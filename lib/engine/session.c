/* A session: the threads and all memory that embedding needs.
 *
 * senvec_embed works through the texts in windows of SV_WINDOW_TEXTS. In each, the team tokenizes (texts handed out in small
 * chunks by an atomic counter), member 0 plans, and the team computes: each member takes panels from an atomic counter, or all
 * work on every panel together where the plan says so. One sv_team_run serves the whole call. */
#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/cpu/machine.h"
#include "common/limits.h"
#include "common/thread.h"
#include "engine/model.h"
#include "engine/plan.h"

/* Texts that a member takes at a time for tokenizing: some 10 us of work. */
#define TOKENIZE_CHUNK 8

/* Room for a prompt and the text after it. */
typedef struct joined {
    char *bytes;
    size_t capacity;
} joined;

struct senvec_session {
    const senvec_model *model;
    pid_t process; /* that opened it: no other one has its threads */
    senvec_allocator allocator;
    sv_team *team;
    size_t threads;
    sv_workspace *workspaces; /* (threads) */
    uint32_t *ids;            /* (SV_WINDOW_TEXTS, max_seq_length) */
    joined *joined;           /* (threads) */
    sv_planning planning;

    /* The call in progress. */
    const senvec_text *texts;
    size_t count;
    float *out;
    size_t stride;
    const senvec_embed_options *same;        /* for all texts, if `each` is NULL; never NULL itself */
    const senvec_embed_options *const *each; /* (count) */
    senvec_embed_stats done;
    atomic_bool out_of_memory;
    atomic_size_t not_finite; /* the first text whose vector isn't; `count`: none */
    /* Its current window. */
    sv_tokens tokens[SV_WINDOW_TEXTS];
    sv_sequence sequences[SV_WINDOW_TEXTS];
    sv_plan plan;
    _Alignas(SV_CACHE_LINE) atomic_size_t next_chunk;
    _Alignas(SV_CACHE_LINE) atomic_size_t next_panel;
};

/* ------------------------------------------------------------------------------------------------------ the members' work */

static const senvec_embed_options *options_of(const senvec_session *session, size_t i) {
    static const senvec_embed_options defaults = {0};
    if (!session->each)
        return session->same;
    return session->each[i] ? session->each[i] : &defaults;
}

/* The text that goes before a text; "" for none. The name is one of the model's. */
static const char *prompt_of(const senvec_model *model, const senvec_embed_options *options) {
    const char *text = "";
    if (options->prompt)
        return options->prompt;
    if (options->prompt_name)
        sv_prompts_find(&model->prompts, options->prompt_name, &text, NULL);
    else if (model->prompts.usual)
        text = model->prompts.usual->text;
    return text;
}

/* *text <- the prompt and the text, in the member's own memory. */
static bool join(senvec_session *session, size_t member, const char *prompt, senvec_text *text) {
    joined *room = &session->joined[member];
    size_t length = strlen(prompt), needed = length + text->length;
    if (needed > room->capacity) {
        void *bytes;
        size_t capacity = needed + needed / 2;
        if (sv_alloc(&session->allocator, capacity, 1, "a text with its prompt", &bytes, NULL) != SENVEC_OK)
            return false;
        sv_free(&session->allocator, room->bytes, room->capacity, 1);
        *room = (joined){bytes, capacity};
    }
    memcpy(room->bytes, prompt, length);
    if (text->length)
        memcpy(room->bytes + length, text->data, text->length);
    *text = (senvec_text){room->bytes, needed};
    return true;
}

/* The tokens of a prompt that pooling leaves out: all but its own [SEP]. */
static size_t prompt_tokens(const senvec_model *model, const char *prompt, uint32_t *ids, size_t longest) {
    if (model->config.include_prompt || !*prompt)
        return 0;
    return sv_tokenizer_encode(model->tokenizer, prompt, strlen(prompt), ids, longest).count - 1;
}

static void tokenize_text(senvec_session *session, size_t member, size_t text_index, size_t i) {
    const senvec_model *model = session->model;
    const senvec_embed_options *options = options_of(session, text_index);
    const char *prompt = prompt_of(model, options);
    size_t longest = model->config.max_seq_length;
    uint32_t *ids = session->ids + i * longest;
    senvec_text text = session->texts[text_index];
    size_t skip = prompt_tokens(model, prompt, ids, longest);
    if (*prompt && !join(session, member, prompt, &text))
        atomic_store(&session->out_of_memory, true);
    session->tokens[i] = sv_tokenizer_encode(model->tokenizer, text.data, text.length, ids, longest);
    size_t count = session->tokens[i].count;
    session->sequences[i] = (sv_sequence){
        .text = {.ids = ids, .length = count},
        .ending = {.skip = skip < count ? skip : count - 1,
                   .dimensions = options->dimensions ? options->dimensions : sv_model_dimensions(model),
                   .normalize = options->normalize},
        .out = session->out + text_index * session->stride,
    };
}

static void tokenize_window(senvec_session *session, size_t member, size_t first, size_t count) {
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&session->next_chunk, TOKENIZE_CHUNK, memory_order_relaxed);
        if (begin >= count)
            return;
        size_t end = begin + TOKENIZE_CHUNK < count ? begin + TOKENIZE_CHUNK : count;
        for (size_t i = begin; i < end; i++)
            tokenize_text(session, member, first + i, i);
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

static bool is_finite(const float *values, size_t count) {
    unsigned bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        bad |= (bits & 0x7fffffff) + 0x00800000; /* reaches the sign bit from an infinity or NaN alone */
    }
    return !(bad >> 31);
}

/* Looks at the member's share of the window's vectors, by what holds for the whole call: other members may already have filled
 * `sequences` for the next window, whose vectors aren't there yet. */
static void check_window(senvec_session *session, size_t member, size_t first, size_t count) {
    for (size_t i = member; i < count; i += session->threads) {
        size_t dimensions = options_of(session, first + i)->dimensions;
        if (is_finite(session->out + (first + i) * session->stride,
                      dimensions ? dimensions : sv_model_dimensions(session->model)))
            continue;
        size_t before = atomic_load(&session->not_finite);
        while (first + i < before && !atomic_compare_exchange_weak(&session->not_finite, &before, first + i))
            ;
    }
}

/* The whole call, on every member. Tokenizing a window ends at a barrier, after which member 0 plans; computing it ends at one,
 * after which its buffers may be filled again. */
static void embed_on_member(void *context, size_t member) {
    senvec_session *session = context;
    for (size_t first = 0; first < session->count; first += SV_WINDOW_TEXTS) {
        size_t left = session->count - first;
        size_t count = left < SV_WINDOW_TEXTS ? left : SV_WINDOW_TEXTS;
        tokenize_window(session, member, first, count);
        sv_team_barrier(session->team);
        if (member == 0)
            plan_window(session, count);
        sv_team_barrier(session->team);
        compute_window(session, member);
        sv_team_barrier(session->team);
        check_window(session, member, first, count);
    }
}

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
    const char *text;
    if (!options->prompt && options->prompt_name)
        return sv_prompts_find(&model->prompts, options->prompt_name, &text, err);
    return SENVEC_OK;
}

/* All that can be wrong is found before anything is computed. */
static senvec_status check_call(const senvec_session *session, senvec_error *err) {
    for (size_t i = 0; i < session->count; i++)
        if (!session->texts[i].data && session->texts[i].length)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, i, "senvec_embed: text %zu has %zu bytes at NULL", i,
                           session->texts[i].length);
    const senvec_embed_options *checked = NULL;
    for (size_t i = 0; i < (session->each ? session->count : 1); i++) {
        const senvec_embed_options *options = options_of(session, i);
        if (options != checked)
            SENVEC_TRY(check_options(session->model, options, session->stride, err));
        checked = options;
    }
    if (session->process != getpid())
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "this session was opened by another process: its threads don't exist after fork; open a session of the "
                       "model in this process");
    return SENVEC_OK;
}

static senvec_status embed(senvec_session *session, senvec_embed_stats *stats, senvec_error *err) {
    SENVEC_TRY(check_call(session, err));
    if (session->count == 0)
        return SENVEC_OK;
    session->done = (senvec_embed_stats){0};
    atomic_store(&session->out_of_memory, false);
    atomic_store(&session->not_finite, session->count);
    sv_team_run(session->team, embed_on_member, session);
    if (atomic_load(&session->out_of_memory))
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "senvec_embed: no memory for a text with its prompt");
    size_t bad = atomic_load(&session->not_finite);
    if (bad < session->count)
        return sv_fail(err, SENVEC_FORMAT, bad,
                       "%s: the vector of text %zu isn't finite: the model's weights overflow in %s; use another model, or "
                       "another precision",
                       session->model->directory, bad, senvec_precision_name(session->model->encoder.math.precision));
    if (stats) {
        stats->tokens += session->done.tokens;
        stats->truncated += session->done.truncated;
        stats->invalid_utf8 += session->done.invalid_utf8;
    }
    return SENVEC_OK;
}

static senvec_status check_pointers(const senvec_session *session, const senvec_text *texts, size_t count, const float *out,
                                    senvec_error *err) {
    if (!session || (count && (!texts || !out)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed: a pointer is NULL");
    return SENVEC_OK;
}

senvec_status senvec_embed(senvec_session *session, const senvec_text *texts, size_t count, float *out, size_t stride,
                           senvec_embed_stats *stats, senvec_error *err) {
    return senvec_embed_with(session, texts, count, NULL, out, stride, stats, err);
}

senvec_status senvec_embed_with(senvec_session *session, const senvec_text *texts, size_t count,
                                const senvec_embed_options *options, float *out, size_t stride, senvec_embed_stats *stats,
                                senvec_error *err) {
    static const senvec_embed_options defaults = {0};
    SENVEC_TRY(check_pointers(session, texts, count, out, err));
    session->texts = texts;
    session->count = count;
    session->same = options ? options : &defaults;
    session->each = NULL;
    session->out = out;
    session->stride = stride;
    return embed(session, stats, err);
}

senvec_status senvec_embed_each(senvec_session *session, const senvec_text *texts, size_t count,
                                const senvec_embed_options *const *options, float *out, size_t stride,
                                senvec_embed_stats *stats, senvec_error *err) {
    SENVEC_TRY(check_pointers(session, texts, count, out, err));
    if (count && !options)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_embed_each: options is NULL");
    session->texts = texts;
    session->count = count;
    session->each = options;
    session->out = out;
    session->stride = stride;
    return count ? embed(session, stats, err) : SENVEC_OK;
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
    SENVEC_TRY(sv_alloc(allocator, threads, sizeof(joined), "texts with prompts", &block, err));
    session->joined = memset(block, 0, threads * sizeof(joined));
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
    session->process = getpid();
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
    if (session->process == getpid()) /* else there are no threads to end: what is left of them is the child's to lose */
        sv_team_close(session->team);
    if (session->workspaces)
        for (size_t i = 0; i < session->threads; i++)
            sv_workspace_release(&session->workspaces[i], &allocator);
    for (size_t i = 0; session->joined && i < session->threads; i++)
        sv_free(&allocator, session->joined[i].bytes, session->joined[i].capacity, 1);
    sv_free(&allocator, session->joined, session->threads, sizeof(joined));
    sv_free(&allocator, session->workspaces, session->threads, sizeof(sv_workspace));
    sv_free(&allocator, session->ids, SV_WINDOW_TEXTS * model->config.max_seq_length, sizeof(uint32_t));
    sv_free(&allocator, session, 1, sizeof *session);
}

size_t senvec_session_threads(const senvec_session *session) {
    return session->threads;
}
