/* What a program does that embeds texts with the library, and nothing else: a model, a session, senvec_embed. The lists of
 * pointers that a call takes are made before its clock starts, as Python's list of strings is. */
#include "study/native_worker.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/limits.h"
#include "common/memory.h"
#include "senvec.h"

#define MAX_SETS 16

/* Texts under a name. */
typedef struct text_set {
    char name[32];
    json_t *strings;    /* holds the texts' bytes */
    senvec_text *texts; /* [count] */
    size_t *tokens;     /* [count] */
    size_t count;
} text_set;

typedef struct native {
    senvec_model *model;
    senvec_session *session;
    senvec_model_info info;
    text_set sets[MAX_SETS];
    size_t set_count;
    senvec_text *picked; /* [batch]: the texts of one call */
    float *vectors;      /* [batch, dimensions] */
    size_t batch;
} native;

typedef senvec_status operation(native *worker, const json_t *request, json_t *reply, senvec_error *err);

static void forget_texts(text_set *set) {
    json_decref(set->strings);
    free(set->texts);
    free(set->tokens);
    *set = (text_set){0};
}

static void forget_batch(native *worker) {
    free(worker->picked);
    free(worker->vectors);
    worker->picked = NULL;
    worker->vectors = NULL;
    worker->batch = 0;
}

static senvec_status no_memory(senvec_error *err) {
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "out of memory");
}

static size_t get_size(const json_t *request, const char *key) {
    json_int_t value = json_integer_value(json_object_get(request, key));
    return value > 0 ? (size_t)value : 0;
}

static senvec_precision parse_precision(const char *name) {
    for (int p = SENVEC_PRECISION_FP32; name && p <= SENVEC_PRECISION_INT8; p++)
        if (strcmp(name, senvec_precision_name((senvec_precision)p)) == 0)
            return (senvec_precision)p;
    return SENVEC_PRECISION_AUTO;
}

static senvec_status load(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    const char *files = json_string_value(json_object_get(request, "files"));
    senvec_model_options options = {
        .precision = parse_precision(json_string_value(json_object_get(request, "precision"))),
        .cpu = json_string_value(json_object_get(request, "cpu")),
    };
    senvec_session_options session_options = {.threads = get_size(request, "threads")};
    if (!files || worker->model)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "load: one model, please");
    SENVEC_TRY(senvec_model_open(files, &options, &worker->model, err));
    SENVEC_TRY(senvec_session_open(worker->model, &session_options, &worker->session, err));
    senvec_model_describe(worker->model, &worker->info);
    const senvec_model_info *info = &worker->info;
    if (options.precision != SENVEC_PRECISION_AUTO && info->precision != options.precision)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "this CPU has no %s instructions; senvec would compute in %s in their place",
                       senvec_precision_name(options.precision), senvec_precision_name(info->precision));
    json_t *facts =
        json_pack("{s:{s:s}, s:{s:s, s:I}, s:I, s:I, s:I, s:I, s:s}", "versions", "senvec", senvec_version(), "settings",
                  "ISA tier", info->tier, "threads", (json_int_t)senvec_session_threads(worker->session), "model_bytes",
                  (json_int_t)info->weights_bytes, "dimensions", (json_int_t)info->dimensions, "max_seq_length",
                  (json_int_t)info->max_seq_length, "linear_macs", (json_int_t)info->linear_macs, "tier", info->tier);
    int failed = json_object_update(reply, facts);
    json_decref(facts);
    return failed ? no_memory(err) : SENVEC_OK;
}

static const char *get_name(const json_t *request) {
    const char *name = json_string_value(json_object_get(request, "set"));
    return name ? name : "";
}

static text_set *find_set(native *worker, const char *name) {
    for (size_t i = 0; i < worker->set_count; i++)
        if (strcmp(worker->sets[i].name, name) == 0)
            return &worker->sets[i];
    return NULL;
}

static senvec_status read_texts(text_set *set, const char *path, senvec_error *err) {
    json_error_t where;
    set->strings = json_load_file(path, JSON_ALLOW_NUL, &where);
    size_t count = json_array_size(set->strings);
    if (!count)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: not a JSON array of strings: %s", path, where.text);
    set->texts = calloc(count, sizeof *set->texts);
    set->tokens = calloc(count, sizeof *set->tokens);
    if (!set->texts || !set->tokens)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *string = json_array_get(set->strings, i);
        set->texts[i] = (senvec_text){json_string_value(string), json_string_length(string)};
    }
    set->count = count;
    return SENVEC_OK;
}

/* Sets set->tokens; *total is their sum. */
static senvec_status count_tokens(const native *worker, text_set *set, size_t *total, senvec_error *err) {
    size_t capacity = worker->info.max_seq_length;
    uint32_t *ids = calloc(capacity, sizeof *ids);
    senvec_status status = ids ? SENVEC_OK : no_memory(err);
    for (size_t i = 0; status == SENVEC_OK && i < set->count; i++) {
        status = senvec_tokenize(worker->model, set->texts[i], ids, capacity, &set->tokens[i], NULL, err);
        *total += set->tokens[i];
    }
    free(ids);
    return status;
}

static senvec_status texts(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    const char *path = json_string_value(json_object_get(request, "path")), *name = get_name(request);
    text_set *set = find_set(worker, name);
    if (!set && worker->set_count == MAX_SETS)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "over %d sets of texts", MAX_SETS);
    if (!set)
        set = &worker->sets[worker->set_count++];
    forget_texts(set);
    snprintf(set->name, sizeof set->name, "%s", name);
    size_t total = 0;
    SENVEC_TRY(read_texts(set, path ? path : "", err));
    SENVEC_TRY(count_tokens(worker, set, &total, err));
    if (json_object_set_new(reply, "count", json_integer((json_int_t)set->count)) != 0 ||
        json_object_set_new(reply, "tokens", json_integer((json_int_t)total)) != 0)
        return no_memory(err);
    return SENVEC_OK;
}

/* Finds the request's texts and makes room for calls of its batch. */
static senvec_status prepare(native *worker, const json_t *request, const text_set **set, senvec_error *err) {
    size_t batch = get_size(request, "batch"), floats;
    *set = find_set(worker, get_name(request));
    if (!*set || !(*set)->count || batch == 0)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "known texts and a batch of at least 1 are needed");
    if (batch == worker->batch)
        return SENVEC_OK;
    forget_batch(worker);
    worker->picked = calloc(batch, sizeof *worker->picked);
    worker->vectors = sv_mul_size(batch, worker->info.dimensions, &floats) ? calloc(floats, sizeof(float)) : NULL;
    if (!worker->picked || !worker->vectors)
        return no_memory(err);
    worker->batch = batch;
    return SENVEC_OK;
}

/* The texts of the call that begins at text `first`; returns their tokens. */
static size_t pick(native *worker, const text_set *set, size_t first) {
    size_t tokens = 0;
    for (size_t i = 0; i < worker->batch; i++) {
        size_t index = (first + i) % set->count;
        worker->picked[i] = set->texts[index];
        tokens += set->tokens[index];
    }
    return tokens;
}

static senvec_status embed_picked(native *worker, size_t count, senvec_error *err) {
    return senvec_embed(worker->session, worker->picked, count, worker->vectors, worker->info.dimensions, NULL, err);
}

static senvec_status latency(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    size_t first = get_size(request, "first"), calls = get_size(request, "calls"), warmups = get_size(request, "warmups");
    const text_set *set;
    SENVEC_TRY(prepare(worker, request, &set, err));
    json_t *samples = json_array();
    if (json_object_set_new(reply, "samples_ns", samples) != 0)
        return no_memory(err);
    const double warmup_s = json_number_value(json_object_get(request, "warmup_s"));
    const uint64_t warm = sv_clock_ns() + (uint64_t)(warmup_s * (double)SV_NS_PER_S);
    for (size_t i = 0; i < warmups || sv_clock_ns() < warm; i++) {
        pick(worker, set, first + i * worker->batch);
        SENVEC_TRY(embed_picked(worker, worker->batch, err));
    }
    for (size_t i = 0; i < calls; i++) {
        pick(worker, set, first + i * worker->batch);
        uint64_t start = sv_clock_ns();
        SENVEC_TRY(embed_picked(worker, worker->batch, err));
        uint64_t end = sv_clock_ns();
        if (json_array_append_new(samples, json_integer((json_int_t)(end - start))) != 0)
            return no_memory(err);
    }
    return SENVEC_OK;
}

static senvec_status throughput(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    size_t first = get_size(request, "first"), calls = 0, tokens = 0;
    double seconds = json_number_value(json_object_get(request, "seconds"));
    const text_set *set;
    SENVEC_TRY(prepare(worker, request, &set, err));
    uint64_t start = sv_clock_ns(), now = start, end = start + (uint64_t)(seconds * (double)SV_NS_PER_S);
    while (now < end) {
        tokens += pick(worker, set, first + calls * worker->batch);
        SENVEC_TRY(embed_picked(worker, worker->batch, err));
        calls++;
        now = sv_clock_ns();
    }
    if (json_object_set_new(reply, "calls", json_integer((json_int_t)calls)) != 0 ||
        json_object_set_new(reply, "texts", json_integer((json_int_t)(calls * worker->batch))) != 0 ||
        json_object_set_new(reply, "tokens", json_integer((json_int_t)tokens)) != 0 ||
        json_object_set_new(reply, "seconds", json_real((double)(now - start) / (double)SV_NS_PER_S)) != 0)
        return no_memory(err);
    return SENVEC_OK;
}

static senvec_status embed(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    const char *path = json_string_value(json_object_get(request, "path"));
    const text_set *set;
    SENVEC_TRY(prepare(worker, request, &set, err));
    sv_atomic_file file = {0};
    senvec_status status = sv_atomic_file_open(&file, path ? path : "", err);
    for (size_t first = 0; status == SENVEC_OK && first < set->count; first += worker->batch) {
        size_t rest = set->count - first, count = rest < worker->batch ? rest : worker->batch;
        pick(worker, set, first);
        status = embed_picked(worker, count, err);
        if (status == SENVEC_OK)
            fwrite(worker->vectors, sizeof(float), count * worker->info.dimensions, file.stream);
    }
    if (status == SENVEC_OK)
        status = sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    if (status == SENVEC_OK &&
        (json_object_set_new(reply, "count", json_integer((json_int_t)set->count)) != 0 ||
         json_object_set_new(reply, "dimensions", json_integer((json_int_t)worker->info.dimensions)) != 0))
        status = no_memory(err);
    return status;
}

static senvec_status quit(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    (void)worker, (void)request, (void)reply, (void)err;
    return SENVEC_OK;
}

static const struct {
    const char *op;
    operation *run;
} operations[] = {
    {"load", load}, {"texts", texts}, {"latency", latency}, {"throughput", throughput}, {"embed", embed}, {"quit", quit},
};

static operation *find_operation(const char *op) {
    for (size_t i = 0; op && i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(op, operations[i].op) == 0)
            return operations[i].run;
    return NULL;
}

/* The reply to a request; NULL without memory. */
static json_t *answer(native *worker, const json_t *request) {
    const char *op = json_string_value(json_object_get(request, "op"));
    operation *run = find_operation(op);
    senvec_error err = {0};
    json_t *reply = json_object();
    senvec_status status;
    if (!run)
        status = sv_fail(&err, SENVEC_INVALID_ARGUMENT, 0, "no such operation");
    else if (!worker->session && run != load && run != quit)
        status = sv_fail(&err, SENVEC_INVALID_ARGUMENT, 0, "%s: load a model first", op);
    else
        status = run(worker, request, reply, &err);
    if (status != SENVEC_OK) {
        json_object_clear(reply);
        json_object_set_new(reply, "error", json_string(err.message));
        json_object_set_new(reply, "missing", json_boolean(status == SENVEC_UNSUPPORTED));
    }
    json_object_set_new(reply, "ok", json_boolean(status == SENVEC_OK));
    json_object_set(reply, "id", json_object_get(request, "id"));
    return reply;
}

int sv_native_worker(FILE *requests, FILE *replies) {
    native worker = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    bool more = true, fine = true;
    while (more && fine && (length = getline(&line, &capacity, requests)) > 0) {
        json_t *request = json_loadb(line, (size_t)length, 0, NULL);
        json_t *reply = json_is_object(request) ? answer(&worker, request) : NULL;
        const char *op = json_string_value(json_object_get(request, "op"));
        more = !op || strcmp(op, "quit") != 0;
        fine = reply && json_dumpf(reply, replies, JSON_COMPACT) == 0 && fputc('\n', replies) != EOF && fflush(replies) == 0;
        json_decref(request);
        json_decref(reply);
    }
    free(line);
    for (size_t i = 0; i < worker.set_count; i++)
        forget_texts(&worker.sets[i]);
    forget_batch(&worker);
    senvec_session_free(worker.session);
    senvec_model_free(worker.model);
    return fine ? 0 : 1;
}
