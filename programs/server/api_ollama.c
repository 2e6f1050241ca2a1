/* Ollama's API: POST /api/embed (its newer form) and /api/embeddings, and what its clients ask before them: which models there
 * are, what they can do, and to fetch one, which is done where it is the model that is served. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/sha256.h"
#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"
#include "server/vectors.h"

static void write_error(sv_bytes *answer, unsigned status, const char *message, size_t length) {
    (void)status;
    sv_bytes_text(answer, "{\"error\":");
    sv_bytes_string(answer, message, length);
    sv_bytes_text(answer, "}");
}

const sv_dialect sv_ollama = {write_error};

static void write_text_of_list(sv_exchange *exchange, size_t i, sv_bytes *to) {
    if (i == 0) {
        sv_bytes_text(to, "{\"model\":");
        sv_bytes_string(to, exchange->model, strlen(exchange->model));
        sv_bytes_text(to, ",\"embeddings\":");
    }
    sv_bytes_text(to, i ? "," : "[");
    sv_vectors_write(exchange, i, exchange->type, exchange->base64, to);
}

static void finish_list(sv_exchange *exchange) {
    sv_bytes_print(&exchange->answer, "],\"total_duration\":%llu,\"load_duration\":0,\"prompt_eval_count\":%llu}",
                   (unsigned long long)(sv_clock_ns() - exchange->begin_ns),
                   (unsigned long long)exchange->request.stats.tokens);
}

static void write_only_text(sv_exchange *exchange, size_t i, sv_bytes *to) {
    sv_bytes_text(to, "{\"embedding\":");
    sv_vectors_write(exchange, i, exchange->type, exchange->base64, to);
}

static void finish_one(sv_exchange *exchange) {
    sv_bytes_text(&exchange->answer, "}");
}

/* Vectors of length 1, whatever the model's modules say. */
void sv_ollama_embed_begin(sv_exchange *exchange) {
    exchange->write_text = write_text_of_list;
    exchange->finish = finish_list;
    exchange->normalize = SENVEC_NORMALIZE_ON;
    if (!sv_exchange_parse(exchange))
        return;
    if (sv_members_of_vectors(exchange, NULL) && sv_inputs_texts(exchange, "input", SV_INPUT_IDS))
        sv_inputs_check_lengths(exchange);
}

void sv_ollama_embeddings_begin(sv_exchange *exchange) {
    exchange->write_text = write_only_text;
    exchange->finish = finish_one;
    exchange->normalize = SENVEC_NORMALIZE_ON;
    if (!sv_exchange_parse(exchange))
        return;
    if (!sv_inputs_is_string(exchange, "prompt"))
        sv_exchange_fail(exchange, 400, "prompt must be a string; /api/embed takes lists");
    else if (sv_members_of_vectors(exchange, NULL) && sv_inputs_texts(exchange, "prompt", SV_INPUT_STRINGS))
        sv_inputs_check_lengths(exchange);
}

/* --------------------------------------------------------------- the model */

/* Of its weights. */
static unsigned long long size_of(const sv_served *served) {
    return served->info.weights_bytes ? served->info.weights_bytes : served->info.mapped_bytes;
}

/* What Ollama calls a digest: SHA-256 in hexadecimal digits. Here the model's space id, which is one; until it is known, or
 * where it can't be, that of what tells this model from others. */
static void digest_of(const sv_served *served, char out[65]) {
    const senvec_model_info *info = &served->info;
    const char *space = sv_model_space_id(&served->space);
    if (space) {
        memcpy(out, space, SENVEC_SPACE_ID_SIZE);
        return;
    }
    char facts[SV_MAX_PATH + 400];
    int length = snprintf(facts, sizeof facts, "%s\n%s %zu %zu %zu %zu %zu %llu %llu", info->directory, info->pooling,
                          info->dimensions, info->max_seq_length, info->layers, info->heads, info->vocabulary,
                          (unsigned long long)info->parameters, size_of(served));
    sv_sha256 hash;
    sv_sha256_init(&hash);
    sv_sha256_add(&hash, facts, (size_t)length);
    sv_sha256_end_text(&hash, out);
}

static void time_of(time_t seconds, char out[32]) {
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void modified_at(const sv_served *served, char out[32]) {
    struct stat file;
    time_of(stat(served->info.directory, &file) == 0 ? file.st_mtime : (time_t)served->server->opened_at, out);
}

static void write_details(sv_bytes *answer, const senvec_model_info *info) {
    sv_bytes_print(answer,
                   "{\"parent_model\":\"\",\"format\":\"safetensors\",\"family\":\"%s\",\"families\":[\"%s\"],"
                   "\"parameter_size\":\"%.1fM\",\"quantization_level\":\"%s\"}",
                   info->architecture, info->architecture, (double)info->parameters / 1e6,
                   senvec_precision_name(info->precision));
}

/* The model as an item of a list; `tag` is put behind its name, `more` behind its members. */
static void write_item(sv_exchange *exchange, const sv_served *served, const char *name, const char *tag, const char *more) {
    sv_bytes *answer = &exchange->answer;
    char full[300], digest[65], time[32];
    int length = snprintf(full, sizeof full, "%s%s", name, tag);
    digest_of(served, digest);
    modified_at(served, time);
    sv_bytes_text(answer, "{\"name\":");
    sv_bytes_string(answer, full, (size_t)length);
    sv_bytes_text(answer, ",\"model\":");
    sv_bytes_string(answer, full, (size_t)length);
    sv_bytes_print(answer, ",\"modified_at\":\"%s\",\"size\":%llu,\"digest\":\"%s\",\"details\":", time, size_of(served),
                   digest);
    write_details(answer, &served->info);
    sv_bytes_print(answer, "%s}", more);
}

/* What /api/ps says beside: until when a model stays, if nobody asks for it. False: it isn't there. */
static bool write_loaded(sv_served *served, char *out, size_t size) {
    sv_served_list *list = &served->server->served;
    pthread_mutex_lock(&list->lock);
    bool there = served->model != NULL;
    uint64_t until = served->used_ns + list->idle_ns, now = sv_clock_ns();
    pthread_mutex_unlock(&list->lock);
    char time_text[32] = "9999-12-31T23:59:59Z";
    if (list->idle_ns)
        time_of(time(NULL) + (time_t)((until > now ? until - now : 0) / SV_NS_PER_S), time_text);
    snprintf(out, size, ",\"expires_at\":\"%s\",\"size_vram\":0,\"context_length\":%zu", time_text,
             served->info.max_seq_length);
    return there;
}

/* Every name, and with the tag that Ollama itself would put behind it: some clients compare with one, some with the other. */
static void write_items(sv_exchange *exchange, bool loaded) {
    sv_served_list *list = &exchange->server->served;
    const char *comma = "[";
    sv_bytes_text(&exchange->answer, "{\"models\":");
    for (size_t m = 0; m < list->count; m++) {
        sv_served *served = &list->items[m];
        char more[120] = "";
        if (loaded && !write_loaded(served, more, sizeof more))
            continue;
        for (size_t i = 0; i < served->names.count; i++) {
            sv_bytes_text(&exchange->answer, comma);
            comma = ",";
            write_item(exchange, served, served->names.items[i], "", more);
            if (strchr(served->names.items[i], ':'))
                continue;
            sv_bytes_text(&exchange->answer, ",");
            write_item(exchange, served, served->names.items[i], ":latest", more);
        }
    }
    sv_bytes_text(&exchange->answer, *comma == '[' ? "[]}" : "]}");
}

void sv_ollama_tags(sv_exchange *exchange) {
    exchange->status = 200;
    write_items(exchange, false);
}

void sv_ollama_ps(sv_exchange *exchange) {
    exchange->status = 200;
    write_items(exchange, true);
}

void sv_ollama_version(sv_exchange *exchange) {
    exchange->status = 200;
    sv_bytes_print(&exchange->answer, "{\"version\":\"%s\"}", senvec_version());
}

/* The body names the model that is served, as "model" or as older clients do, as "name"; else an error is the answer. */
static bool names_model(sv_exchange *exchange) {
    const char *asked = NULL;
    if (!sv_exchange_parse(exchange) || !sv_inputs_string(exchange, "name", &asked) ||
        !sv_inputs_string(exchange, "model", &asked))
        return false;
    if (!asked) {
        sv_exchange_fail(exchange, 400, "model is missing");
        return false;
    }
    char all[600];
    sv_served *served = sv_served_find(exchange->server, asked, &exchange->model);
    if (!served) {
        sv_served_name_all(exchange->server, all, sizeof all);
        sv_exchange_fail(exchange, 404, "model '%.200s' not found; this server has %s", asked, all);
        return false;
    }
    exchange->served = served;
    return true;
}

void sv_ollama_show(sv_exchange *exchange) {
    if (!names_model(exchange))
        return;
    const senvec_model_info *info = &exchange->served->info;
    sv_bytes *answer = &exchange->answer;
    char time[32];
    modified_at(exchange->served, time);
    exchange->status = 200;
    sv_bytes_text(answer, "{\"modelfile\":\"\",\"parameters\":\"\",\"template\":\"\",\"details\":");
    write_details(answer, info);
    const char *kind = info->architecture;
    sv_bytes_print(answer, ",\"model_info\":{\"general.architecture\":\"%s\",\"general.parameter_count\":%llu", kind,
                   (unsigned long long)info->parameters);
    sv_bytes_print(answer, ",\"%s.block_count\":%zu,\"%s.context_length\":%zu,\"%s.embedding_length\":%zu", kind, info->layers,
                   kind, info->max_seq_length, kind, info->dimensions);
    sv_bytes_print(answer, ",\"%s.feed_forward_length\":%zu,\"%s.attention.head_count\":%zu,\"general.basename\":", kind,
                   info->inner, kind, info->heads);
    sv_bytes_string(answer, exchange->model, strlen(exchange->model));
    sv_bytes_print(answer, "},\"capabilities\":[%s],\"modified_at\":\"%s\"}",
                   info->task == SENVEC_TASK_EMBEDDING ? "\"embedding\"" : "", time);
}

/* There is nothing to fetch. A client that wants to see progress gets its last line. */
void sv_ollama_pull(sv_exchange *exchange) {
    bool stream = true;
    if (!names_model(exchange) || !sv_inputs_flag(exchange, "stream", &stream))
        return;
    exchange->status = 200;
    if (stream)
        exchange->content_type = "application/x-ndjson";
    sv_bytes_text(&exchange->answer, stream ? "{\"status\":\"success\"}\n" : "{\"status\":\"success\"}");
}
