/* What a program does that embeds texts with the library, and nothing else: a model, a session, senvec_embed. The lists of
 * pointers that a call takes are made before its clock starts, as Python's list of strings is. */
#include "study/native_worker.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "senvec.h"

typedef struct native {
    senvec_model *model;
    senvec_session *session;
    senvec_model_info info;
    json_t *strings;    /* holds the texts' bytes */
    senvec_text *texts; /* [count] */
    size_t *tokens;     /* [count] */
    size_t count;
    senvec_text *picked; /* [batch]: the texts of one call */
    float *vectors;      /* [batch, dimensions] */
    size_t batch;
} native;

typedef senvec_status operation(native *worker, const json_t *request, json_t *reply, senvec_error *err);

static void forget_texts(native *worker) {
    json_decref(worker->strings);
    free(worker->texts);
    free(worker->tokens);
    worker->strings = NULL;
    worker->texts = NULL;
    worker->tokens = NULL;
    worker->count = 0;
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
    static const char *const names[] = {"auto", "fp32", "bf16", "int8"};
    for (size_t i = 1; name && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return (senvec_precision)i;
    return SENVEC_PRECISION_AUTO;
}

static uint64_t weights_bytes(const char *directory) {
    char path[SV_MAX_PATH];
    struct stat facts;
    if (sv_path_join(directory, "model.safetensors", path, NULL) != SENVEC_OK || stat(path, &facts) != 0)
        return 0;
    return (uint64_t)facts.st_size;
}

static senvec_status load(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    const char *directory = json_string_value(json_object_get(request, "model"));
    senvec_model_options options = {
        .precision = parse_precision(json_string_value(json_object_get(request, "precision"))),
        .cpu = json_string_value(json_object_get(request, "cpu")),
    };
    senvec_session_options session_options = {.threads = get_size(request, "threads")};
    if (!directory || worker->model)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "load: one model, please");
    SENVEC_TRY(senvec_model_open(directory, &options, &worker->model, err));
    SENVEC_TRY(senvec_session_open(worker->model, &session_options, &worker->session, err));
    senvec_model_describe(worker->model, &worker->info);
    const senvec_model_info *info = &worker->info;
    json_t *facts =
        json_pack("{s:{s:s}, s:{s:s, s:I}, s:I, s:I, s:I, s:I, s:s}", "versions", "senvec", senvec_version(), "settings",
                  "ISA tier", info->tier, "threads", (json_int_t)senvec_session_threads(worker->session), "model_bytes",
                  (json_int_t)weights_bytes(directory), "dimensions", (json_int_t)info->dimensions, "max_seq_length",
                  (json_int_t)info->max_seq_length, "linear_macs", (json_int_t)info->linear_macs, "tier", info->tier);
    int failed = json_object_update(reply, facts);
    json_decref(facts);
    return failed ? no_memory(err) : SENVEC_OK;
}

static senvec_status read_texts(native *worker, const char *path, senvec_error *err) {
    json_error_t where;
    worker->strings = json_load_file(path, JSON_ALLOW_NUL, &where);
    size_t count = json_array_size(worker->strings);
    if (!count)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: not a JSON array of strings: %s", path, where.text);
    worker->texts = calloc(count, sizeof *worker->texts);
    worker->tokens = calloc(count, sizeof *worker->tokens);
    if (!worker->texts || !worker->tokens)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *string = json_array_get(worker->strings, i);
        worker->texts[i] = (senvec_text){json_string_value(string), json_string_length(string)};
    }
    worker->count = count;
    return SENVEC_OK;
}

static senvec_status texts(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    const char *path = json_string_value(json_object_get(request, "path"));
    forget_texts(worker);
    SENVEC_TRY(read_texts(worker, path ? path : "", err));
    uint32_t *ids = calloc(worker->info.max_seq_length, sizeof *ids);
    senvec_status status = ids ? SENVEC_OK : no_memory(err);
    size_t total = 0;
    for (size_t i = 0; status == SENVEC_OK && i < worker->count; i++) {
        status =
            senvec_tokenize(worker->model, worker->texts[i], ids, worker->info.max_seq_length, &worker->tokens[i], NULL, err);
        total += worker->tokens[i];
    }
    free(ids);
    if (status == SENVEC_OK && (json_object_set_new(reply, "count", json_integer((json_int_t)worker->count)) != 0 ||
                                json_object_set_new(reply, "tokens", json_integer((json_int_t)total)) != 0))
        status = no_memory(err);
    return status;
}

/* Makes room for calls of `batch` texts. */
static senvec_status prepare(native *worker, size_t batch, senvec_error *err) {
    if (!worker->count || batch == 0)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "texts and a batch of at least 1 are needed first");
    if (batch == worker->batch)
        return SENVEC_OK;
    forget_batch(worker);
    size_t floats;
    worker->picked = calloc(batch, sizeof *worker->picked);
    worker->vectors = sv_mul_size(batch, worker->info.dimensions, &floats) ? calloc(floats, sizeof(float)) : NULL;
    if (!worker->picked || !worker->vectors)
        return no_memory(err);
    worker->batch = batch;
    return SENVEC_OK;
}

/* The texts of the call that begins at text `first`; returns their tokens. */
static size_t pick(native *worker, size_t first) {
    size_t tokens = 0;
    for (size_t i = 0; i < worker->batch; i++) {
        size_t index = (first + i) % worker->count;
        worker->picked[i] = worker->texts[index];
        tokens += worker->tokens[index];
    }
    return tokens;
}

static senvec_status embed_picked(native *worker, size_t count, senvec_error *err) {
    return senvec_embed(worker->session, worker->picked, count, worker->vectors, worker->info.dimensions, NULL, err);
}

static senvec_status latency(native *worker, const json_t *request, json_t *reply, senvec_error *err) {
    size_t first = get_size(request, "first"), calls = get_size(request, "calls"), warmups = get_size(request, "warmups");
    SENVEC_TRY(prepare(worker, get_size(request, "batch"), err));
    json_t *samples = json_array();
    if (json_object_set_new(reply, "samples_ns", samples) != 0)
        return no_memory(err);
    for (size_t i = 0; i < warmups; i++) {
        pick(worker, first + i * worker->batch);
        SENVEC_TRY(embed_picked(worker, worker->batch, err));
    }
    for (size_t i = 0; i < calls; i++) {
        pick(worker, first + i * worker->batch);
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
    SENVEC_TRY(prepare(worker, get_size(request, "batch"), err));
    uint64_t start = sv_clock_ns(), now = start, end = start + (uint64_t)(seconds * (double)SV_NS_PER_S);
    while (now < end) {
        tokens += pick(worker, first + calls * worker->batch);
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
    SENVEC_TRY(prepare(worker, get_size(request, "batch"), err));
    sv_atomic_file file = {0};
    senvec_status status = sv_atomic_file_open(&file, path ? path : "", err);
    for (size_t first = 0; status == SENVEC_OK && first < worker->count; first += worker->batch) {
        size_t rest = worker->count - first, count = rest < worker->batch ? rest : worker->batch;
        pick(worker, first);
        status = embed_picked(worker, count, err);
        if (status == SENVEC_OK)
            fwrite(worker->vectors, sizeof(float), count * worker->info.dimensions, file.stream);
    }
    if (status == SENVEC_OK)
        status = sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    if (status == SENVEC_OK &&
        (json_object_set_new(reply, "count", json_integer((json_int_t)worker->count)) != 0 ||
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
    forget_texts(&worker);
    forget_batch(&worker);
    senvec_session_free(worker.session);
    senvec_model_free(worker.model);
    return fine ? 0 : 1;
}
