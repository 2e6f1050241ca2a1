/* A session: the threads and all memory that embedding needs.
 *
 * senvec_embed works through the texts in windows of SV_WINDOW_TEXTS. In each, the team tokenizes (texts handed out in small
 * chunks by an atomic counter), member 0 plans, and the team computes: each member takes slices from an atomic counter, or all
 * work on every slice together where the plan says so. One sv_team_run serves the whole call. */
#include "engine/session.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "common/cpu/machine.h"
#include "common/limits.h"

/* Texts that a member takes at a time for tokenizing: some 10 us of work. */
#define TOKENIZE_CHUNK 8

/* ------------------------------------------------------------------------------------------------------ the members' work */

const senvec_embed_options *sv_job_options(const sv_job *job, size_t text) {
    static const senvec_embed_options defaults = {0};
    const senvec_embed_options *options = job->each ? job->each[text] : job->same;
    return options ? options : &defaults;
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
    sv_joined *room = &session->joined[member];
    size_t length = strlen(prompt), needed = length + text->length;
    if (needed > room->capacity) {
        void *bytes;
        size_t capacity = needed + needed / 2;
        if (sv_alloc(&session->allocator, capacity, 1, "a text with its prompt", &bytes, NULL) != SENVEC_OK)
            return false;
        sv_free(&session->allocator, room->bytes, room->capacity, 1);
        *room = (sv_joined){bytes, capacity};
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
    return sv_tokenizer_encode(model->tokenizer, prompt, strlen(prompt), SENVEC_TRUNCATION_RIGHT, ids, longest).count - 1;
}

/* A text with its prompt. */
static sv_tokens tokenize_text(senvec_session *session, size_t member, senvec_text text, const senvec_embed_options *options,
                               uint32_t *ids, sv_sequence *out) {
    const senvec_model *model = session->model;
    const char *prompt = prompt_of(model, options);
    const size_t longest = model->config.max_seq_length, skip = prompt_tokens(model, prompt, ids, longest);
    if (*prompt && !join(session, member, prompt, &text))
        atomic_store(&session->no_memory, true);
    const sv_tokens tokens = sv_tokenizer_encode(model->tokenizer, text.data, text.length, options->truncation, ids, longest);
    out->ending = (sv_ending){.skip = skip < tokens.count ? skip : tokens.count - 1,
                              .dimensions = options->dimensions ? options->dimensions : sv_model_dimensions(model),
                              .normalize = options->normalize};
    return tokens;
}

static sv_tokens tokenize_pair(senvec_session *session, size_t member, const senvec_pair *pair, uint32_t *ids,
                               sv_sequence *out) {
    const sv_tokenizer *tokenizer = session->model->tokenizer;
    const size_t longest = session->model->config.max_seq_length;
    const senvec_truncation truncation = session->job.scoring->truncation;
    if (session->job.scoring->single)
        return sv_tokenizer_encode(tokenizer, pair->first.data, pair->first.length, truncation, ids, longest);
    uint32_t *types = session->types + member * longest;
    const sv_tokens tokens = sv_tokenizer_encode_pair(tokenizer, pair->first, pair->second, truncation, ids, types, longest);
    size_t second = 0;
    while (second < tokens.count && types[second] == 0)
        second++;
    out->text.second = second < tokens.count ? second : 0; /* 0: this tokenizer tells no types */
    return tokens;
}

/* Text or pair `index` of the call becomes sequence i of the window. */
static void tokenize(senvec_session *session, size_t member, size_t index, size_t i) {
    const sv_job *job = &session->job;
    uint32_t *ids = session->ids + i * session->model->config.max_seq_length;
    sv_sequence *out = &session->sequences[i];
    *out = (sv_sequence){.out = job->out + index * job->stride};
    session->tokens[i] = job->texts ? tokenize_text(session, member, job->texts[index], sv_job_options(job, index), ids, out)
                                    : tokenize_pair(session, member, &job->pairs[index], ids, out);
    out->text.ids = ids;
    out->text.length = session->tokens[i].count;
    if (session->tokens[i].no_memory)
        atomic_store(&session->no_memory, true);
}

static void tokenize_window(senvec_session *session, size_t member, size_t first, size_t count) {
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&session->next_chunk, TOKENIZE_CHUNK, memory_order_relaxed);
        if (begin >= count)
            return;
        size_t end = begin + TOKENIZE_CHUNK < count ? begin + TOKENIZE_CHUNK : count;
        for (size_t i = begin; i < end; i++)
            tokenize(session, member, first + i, i);
    }
}

static void plan_window(senvec_session *session, size_t first, size_t count) {
    const sv_job *job = &session->job;
    size_t lengths[SV_WINDOW_TEXTS];
    for (size_t i = 0; i < count; i++) {
        lengths[i] = session->tokens[i].count;
        if (job->wanted == SV_WANTED_TOKENS)
            session->sequences[i].out = job->out + session->done.tokens * session->model->config.hidden;
        if (job->counts)
            job->counts[first + i] = lengths[i];
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
            sv_encoder_run(encoder, session->workspaces, session->sequences + plan->slices[p].first, plan->slices[p].count,
                           session->job.wanted, share);
            sv_team_barrier(session->team); /* the next slice overwrites what pooling reads */
        }
        return;
    }
    sv_share alone = {NULL, 0, 1};
    for (;;) {
        size_t p = atomic_fetch_add_explicit(&session->next_panel, 1, memory_order_relaxed);
        if (p >= plan->count)
            return;
        sv_encoder_run(encoder, &session->workspaces[member], session->sequences + plan->slices[p].first, plan->slices[p].count,
                       session->job.wanted, alone);
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

/* Floats of a sequence's result. */
static size_t result_size(const senvec_session *session, const sv_sequence *sequence) {
    const sv_config *config = &session->model->config;
    switch (session->job.wanted) {
    case SV_WANTED_VECTOR:
        return sequence->ending.dimensions;
    case SV_WANTED_TOKENS:
        return sequence->text.length * config->hidden;
    case SV_WANTED_SCORES:
        return config->labels;
    case SV_WANTED_WORDS:
        return config->vocabulary;
    }
    return 0;
}

/* Looks at the member's share of the window's results. */
static void check_window(senvec_session *session, size_t member, size_t first, size_t count) {
    for (size_t i = member; i < count; i += session->threads) {
        const sv_sequence *sequence = &session->sequences[i];
        if (is_finite(sequence->out, result_size(session, sequence)))
            continue;
        size_t before = atomic_load(&session->not_finite);
        while (first + i < before && !atomic_compare_exchange_weak(&session->not_finite, &before, first + i))
            ;
    }
}

/* The whole call, on every member. Tokenizing a window ends at a barrier, after which member 0 plans; computing it ends at one,
 * after which its buffers may be filled again. */
static void run_on_member(void *context, size_t member) {
    senvec_session *session = context;
    for (size_t first = 0; first < session->job.count; first += SV_WINDOW_TEXTS) {
        size_t left = session->job.count - first;
        size_t count = left < SV_WINDOW_TEXTS ? left : SV_WINDOW_TEXTS;
        tokenize_window(session, member, first, count);
        sv_team_barrier(session->team);
        if (member == 0)
            plan_window(session, first, count);
        sv_team_barrier(session->team);
        if (session->job.count_only)
            continue;
        compute_window(session, member);
        sv_team_barrier(session->team);
        check_window(session, member, first, count);
        if (count < left)
            sv_team_barrier(session->team); /* the next window overwrites `sequences`, which say where the results are */
    }
}

senvec_status sv_session_run(senvec_session *session, const sv_job *job, senvec_embed_stats *stats, senvec_error *err) {
    if (session->process != getpid())
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "this session was opened by another process: its threads don't exist after fork; open a session of the "
                       "model in this process");
    if (job->count == 0)
        return SENVEC_OK;
    session->job = *job;
    session->done = (senvec_embed_stats){0};
    atomic_store(&session->no_memory, false);
    atomic_store(&session->not_finite, job->count);
    sv_team_run(session->team, run_on_member, session);
    if (atomic_load(&session->no_memory))
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a text with its prompt, or with a very long word");
    size_t bad = atomic_load(&session->not_finite);
    if (bad < job->count)
        return sv_fail(err, SENVEC_FORMAT, bad,
                       "%s: the %s of text %zu isn't finite: the model's weights overflow in %s; use another model, or "
                       "another precision",
                       session->model->files.path, job->wanted == SV_WANTED_SCORES ? "score" : "vector", bad,
                       senvec_precision_name(session->model->encoder.math.precision));
    if (stats) {
        stats->tokens += session->done.tokens;
        stats->truncated += session->done.truncated;
        stats->invalid_utf8 += session->done.invalid_utf8;
    }
    return SENVEC_OK;
}

bool sv_session_scores(const senvec_session *session) {
    const senvec_task task = session->model->config.task;
    return task == SENVEC_TASK_RERANKER || task == SENVEC_TASK_CLASSIFIER;
}

senvec_status sv_session_check_texts(const senvec_text *texts, size_t count, const char *call, senvec_error *err) {
    for (size_t i = 0; i < count; i++)
        if (!texts[i].data && texts[i].length)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, i, "%s: text %zu has %zu bytes at NULL", call, i, texts[i].length);
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
    SENVEC_TRY(sv_alloc(allocator, threads, sizeof(sv_joined), "texts with prompts", &block, err));
    session->joined = memset(block, 0, threads * sizeof(sv_joined));
    if (sv_session_scores(session)) {
        SENVEC_TRY(sv_alloc(allocator, threads * longest, sizeof(uint32_t), "token types", &block, err));
        session->types = block;
    }
    if (config->task == SENVEC_TASK_SPARSE) {
        SENVEC_TRY(sv_alloc(allocator, SV_SPARSE_TEXTS * config->vocabulary, sizeof(float), "words' weights", &block, err));
        session->words = block;
    }
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
    if (model->tokenizer_only)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: was opened for its tokenizer alone; open it without tokenizer_only",
                       model->files.path);
    size_t threads = options && options->threads ? options->threads : sv_machine_threads();
    if (threads > SV_MAX_THREADS) {
        if (options && options->threads)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%zu threads: give 1 to %u", threads, SV_MAX_THREADS);
        threads = SV_MAX_THREADS;
    }
    /* Who shares weights to save memory has a workspace of 14 MB for BERT-base, of which short texts use 2. */
    const bool thrifty = model->shared.wanted && model->allocator.alloc == sv_default_allocator.alloc;
    const senvec_allocator allocator = thrifty ? sv_thrifty_allocator : model->allocator;
    void *memory;
    SENVEC_TRY(sv_alloc(&allocator, 1, sizeof(senvec_session), "a session", &memory, err));
    senvec_session *session = memset(memory, 0, sizeof(senvec_session));
    session->model = model;
    session->process = getpid();
    session->allocator = allocator;
    session->threads = threads;
    session->planning = (sv_planning){
        .slice_tokens = sv_math_precision(&model->encoder.math)->gemm.panel_rows,
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
    sv_free(&allocator, session->joined, session->threads, sizeof(sv_joined));
    sv_free(&allocator, session->workspaces, session->threads, sizeof(sv_workspace));
    sv_free(&allocator, session->types, session->threads * model->config.max_seq_length, sizeof(uint32_t));
    sv_free(&allocator, session->words, SV_SPARSE_TEXTS * model->config.vocabulary, sizeof(float));
    sv_free(&allocator, session->ids, SV_WINDOW_TEXTS * model->config.max_seq_length, sizeof(uint32_t));
    sv_free(&allocator, session, 1, sizeof *session);
}

size_t senvec_session_threads(const senvec_session *session) {
    return session->threads;
}
