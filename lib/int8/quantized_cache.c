/* The cache of calibrations.
 *
 * A file belongs to a model if all is the same that the result depends on: the recipe's version, the model's sizes, every
 * weight and the sample tokens. Two keys stand for this. A file beside the model is compared by a fast one, from the
 * fingerprint that is taken while the weights are read and checked anyway. The cache folder is shared by all models of a user,
 * and somebody who can choose a model's weights could choose them so that the fast key is another model's; files there have the
 * SHA-256 in their name. Size and time of a file alone would be cheaper, but they survive what they must not survive: a copy
 * that keeps times, a restored backup. They only tell which SHA-256 was computed before (remembered.h), together with the
 * fingerprint. The file also has a hash of its own data, so that a damaged one is never used.
 *
 * A lock in the cache folder makes that of several processes one calibrates. Where there can't be one, each does, and puts its
 * own in place, whole, by renaming. */
#include "int8/quantized_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cpu/machine.h"
#include "common/file.h"
#include "common/hash.h"
#include "int8/calibrate.h"
#include "int8/calibration_text.h"
#include "int8/quantized_file.h"
#include "int8/widen.h"
#include "model/remembered.h"

/* The two keys as text. */
typedef struct key_pair {
    char fast[SV_QUANTIZED_HASH];
    char strong[SV_SHA256_TEXT]; /* "": not computed yet */
} key_pair;

senvec_status sv_weights_digest_text(const char *directory, const sv_config *config, const sv_weights *weights,
                                     const char *cache_folder, const senvec_allocator *allocator, char out[SV_SHA256_TEXT],
                                     senvec_error *err) {
    if (sv_remembered(cache_folder, "weights", weights->stamp, weights->fingerprint, out))
        return SENVEC_OK;
    sv_sha256 digest;
    sv_sha256_init(&digest);
    SENVEC_TRY(sv_weights_digest(directory, config, weights, &digest, allocator, err));
    sv_sha256_end_text(&digest, out);
    sv_remember(cache_folder, "weights", weights->stamp, weights->fingerprint, out);
    return SENVEC_OK;
}

/* What a calibration works on. */
typedef struct sample_sets {
    sv_samples samples, measuring; /* calibrated on, and measured on */
} sample_sets;

static void add_samples(sv_sha256 *digest, const sv_samples *samples) {
    sv_sha256_add(digest, samples->begin, (samples->count + 1) * sizeof *samples->begin);
    sv_sha256_add(digest, samples->ids, samples->begin[samples->count] * sizeof *samples->ids);
}

static uint64_t hash_samples(uint64_t hash, const sv_samples *samples) {
    hash = sv_hash(hash, samples->begin, (samples->count + 1) * sizeof *samples->begin);
    return sv_hash(hash, samples->ids, samples->begin[samples->count] * sizeof *samples->ids);
}

static void strong_key(const char *fast, const char *weights, const sample_sets *sets, char out[SV_SHA256_TEXT]) {
    sv_sha256 digest;
    sv_sha256_init(&digest);
    sv_sha256_add(&digest, fast, strlen(fast)); /* has recipe and sizes in it */
    sv_sha256_add(&digest, weights, strlen(weights));
    add_samples(&digest, &sets->samples);
    add_samples(&digest, &sets->measuring);
    sv_sha256_end_text(&digest, out);
}

static uint64_t key_of(const sv_config *config, const sv_weights *weights, const sample_sets *sets) {
    const uint64_t numbers[] = {SV_CALIBRATION_RECIPE,  config->hidden,        config->inner,       config->layers,
                                config->heads,          sets->samples.count,   config->family,      config->activation,
                                config->first_position, config->embedding,     config->buckets,     config->padding,
                                config->task,           config->pooling_count, weights->fingerprint};
    uint64_t key = sv_hash(0, numbers, sizeof numbers);
    key = sv_hash(key, &config->layernorm_eps, sizeof config->layernorm_eps);
    key = sv_hash(key, config->poolings, config->pooling_count * sizeof *config->poolings);
    return hash_samples(hash_samples(key, &sets->samples), &sets->measuring);
}

/* *out <- texts of ours, in `arena`. */
static senvec_status own_texts(const char *const *from, size_t count, sv_arena *arena, senvec_text **out, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, count, sizeof(senvec_text), "calibration texts", &memory, err));
    *out = memory;
    for (size_t i = 0; i < count; i++)
        (*out)[i] = (senvec_text){from[i], strlen(from[i])};
    return SENVEC_OK;
}

/* The samples of `texts`; NULL: of our own texts. */
static senvec_status make_samples(const sv_config *config, const sv_tokenizer *tokenizer, const senvec_text *texts,
                                  size_t count, sv_arena *arena, sample_sets *out, senvec_error *err) {
    senvec_text *own;
    SENVEC_TRY(own_texts(sv_measuring_texts, sv_measuring_text_count, arena, &own, err));
    SENVEC_TRY(sv_samples_alone(config, tokenizer, own, sv_measuring_text_count, arena, &out->measuring, err));
    if (texts)
        return sv_samples_make(config, tokenizer, texts, count, arena, &out->samples, err);
    SENVEC_TRY(own_texts(sv_calibration_texts, sv_calibration_text_count, arena, &own, err));
    return sv_samples_make(config, tokenizer, own, sv_calibration_text_count, arena, &out->samples, err);
}

static senvec_status calibrate(const sv_config *config, const sv_weights *weights, const sv_kernels *kernels,
                               const sample_sets *sets, sv_arena *arena, sv_quantized *out, senvec_error *err) {
    sv_team *team;
    SENVEC_TRY(sv_team_open(sv_machine_threads(), &arena->allocator, &team, err));
    senvec_status status = sv_calibrate(config, weights, kernels, &sets->samples, team, arena, out, err);
    if (status == SENVEC_OK)
        status = sv_widen(config, weights, kernels, &sets->measuring, team, arena, out, err);
    sv_team_close(team);
    return status;
}

/* Opens the file at `path` and takes the model from it, if its member `name` of the metadata is the right key. NOT_FOUND if
 * there is no such file, or one of another key, or one that others may write. */
static senvec_status read_file(const char *path, const sv_config *config, const char *name, const char *key, sv_arena *arena,
                               sv_quantized *out, senvec_error *err) {
    sv_safetensors *file;
    if (sv_path_is_file(path) && !sv_path_is_trusted(path))
        return sv_fail(err, SENVEC_IO, 0, "%s: is not this user's or root's alone to write; chmod go-w, or delete it", path);
    SENVEC_TRY(sv_safetensors_open(path, &file, err));
    const char *has = sv_safetensors_metadata(file, name);
    senvec_status status =
        has && strcmp(has, key) == 0
            ? sv_quantized_read(file, path, config, sv_safetensors_metadata(file, "content"), arena, out, err)
            : sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: was made of another model or by another version", path);
    sv_safetensors_close(file);
    return status;
}

static senvec_status write_file(const char *path, const sv_config *config, const key_pair *keys, const sv_quantized *quantized,
                                sv_arena *arena, senvec_error *err) {
    char content[SV_QUANTIZED_HASH];
    sv_quantized_hash_text(sv_quantized_hash(config, quantized), content);
    const char *const metadata[][2] = {
        {"senvec", "int8 calibration"}, {"key", keys->fast}, {"sha256", keys->strong}, {"content", content}, {NULL, NULL}};
    sv_tensor_list list;
    SENVEC_TRY(sv_tensor_list_init(&list, config, 0, arena, err));
    SENVEC_TRY(sv_tensor_list_floats(&list, config, quantized, arena, err));
    SENVEC_TRY(sv_tensor_list_weights(&list, config, quantized, arena, err));
    SENVEC_TRY(sv_tensor_list_write(&list, path, metadata, err));
    chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH); /* whatever the umask: read_file wants it so */
    return SENVEC_OK;
}

/* What an obtain works on. */
typedef struct search {
    const char *directory;
    const sv_config *config;
    const sv_weights *weights;
    const sample_sets *sets;
    const sv_calibration_rules *rules;
    const sv_log *log;
    sv_arena *arena, *scratch;
    key_pair keys;
    char beside[SV_MAX_PATH], folder[SV_MAX_PATH], cached[SV_MAX_PATH]; /* "": there is no such place */
} search;

static void find_beside(search *s) {
    if (sv_path_join(s->directory, SV_QUANTIZED_CACHE_FILE, s->beside, NULL) != SENVEC_OK)
        s->beside[0] = '\0';
}

/* Needs the SHA-256 of the weights, which takes long the first time. */
static senvec_status find_cached(search *s, senvec_error *err) {
    char weights[SV_SHA256_TEXT], name[SV_SHA256_TEXT + 16];
    s->cached[0] = '\0';
    SENVEC_TRY(sv_weights_digest_text(s->directory, s->config, s->weights, s->rules->cache_folder, &s->arena->allocator,
                                      weights, err));
    strong_key(s->keys.fast, weights, s->sets, s->keys.strong);
    snprintf(name, sizeof name, "%s.safetensors", s->keys.strong);
    if (sv_cache_below(s->rules->cache_folder, "int8", s->folder, NULL) != SENVEC_OK ||
        sv_path_join(s->folder, name, s->cached, NULL) != SENVEC_OK)
        s->cached[0] = '\0';
    return SENVEC_OK;
}

/* From one of the places, if the file is right. Memory that runs out is no fault of the file's, and calibration would need more
 * of it. */
static senvec_status look(search *s, const char *path, const char *name, const char *key, sv_quantized *out, bool *found,
                          senvec_error *err) {
    senvec_error cause;
    if (*found || !path[0])
        return SENVEC_OK;
    senvec_status status = read_file(path, s->config, name, key, s->arena, out, &cause);
    if (status == SENVEC_OUT_OF_MEMORY)
        return sv_fail(err, status, 0, "%s", cause.message);
    *found = status == SENVEC_OK;
    if (!*found)
        sv_log_line(s->log, status == SENVEC_NOT_FOUND ? SENVEC_LOG_INFO : SENVEC_LOG_WARNING, "no calibration from a file: %s",
                    cause.message);
    return SENVEC_OK;
}

static senvec_status look_beside(search *s, sv_quantized *out, bool *found, senvec_error *err) {
    return look(s, s->beside, "key", s->keys.fast, out, found, err);
}

static senvec_status look_in_cache(search *s, sv_quantized *out, bool *found, senvec_error *err) {
    return look(s, s->cached, "sha256", s->keys.strong, out, found, err);
}

/* Writes to the first place that takes it. */
static void keep(search *s, const sv_quantized *quantized) {
    senvec_error cause = {.message = "no place for it"};
    const char *places[] = {s->rules->mode == SENVEC_CALIBRATION_BESIDE ? s->beside : "", s->cached};
    if (s->rules->mode == SENVEC_CALIBRATION_MEMORY)
        return;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!places[i][0] || (places[i] == s->cached && sv_make_directories(s->folder, &cause) != SENVEC_OK))
            continue;
        if (write_file(places[i], s->config, &s->keys, quantized, s->scratch, &cause) == SENVEC_OK) {
            sv_log_line(s->log, SENVEC_LOG_INFO, "%s: calibration written", places[i]);
            return;
        }
    }
    sv_log_line(s->log, SENVEC_LOG_WARNING,
                "the calibration could not be kept and will be made again at the next start: %s; set SENVEC_CACHE to a folder "
                "that can be written",
                cause.message);
}

/* Waits until no other process calibrates this model. Returns what is to be closed afterwards, or -1: nobody can be kept out.
 */
static int lock(const search *s) {
    char name[SV_SHA256_TEXT + 16], path[SV_MAX_PATH];
    snprintf(name, sizeof name, ".%s.lock", s->keys.strong);
    if (s->rules->mode == SENVEC_CALIBRATION_MEMORY || !s->cached[0] || sv_make_directories(s->folder, NULL) != SENVEC_OK ||
        sv_path_join(s->folder, name, path, NULL) != SENVEC_OK)
        return -1;
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        return descriptor;
    if (errno == EWOULDBLOCK)
        sv_log_line(s->log, SENVEC_LOG_INFO, "%s: another process calibrates it; waiting for the result", s->directory);
    while (flock(descriptor, LOCK_EX) != 0 && errno == EINTR)
        ;
    return descriptor;
}

static senvec_status calibrate_and_keep(search *s, const sv_kernels *kernels, sv_quantized *out, senvec_error *err) {
    uint64_t begun = sv_clock_ns();
    sv_log_line(s->log, SENVEC_LOG_WARNING, "%s: int8 is used for the first time: calibrating, some seconds", s->directory);
    SENVEC_TRY(calibrate(s->config, s->weights, kernels, s->sets, s->arena, out, err));
    sv_log_line(s->log, SENVEC_LOG_INFO, "calibrated in %.1f s; cosine with fp32: mean %.5f, least %.4f",
                (double)(sv_clock_ns() - begun) / (double)SV_NS_PER_S, (double)out->cosine_mean, (double)out->cosine_least);
    keep(s, out);
    return SENVEC_OK;
}

static senvec_status obtain(search *s, const sv_kernels *kernels, sv_quantized *out, senvec_error *err) {
    bool found = false;
    sv_quantized_hash_text(key_of(s->config, s->weights, s->sets), s->keys.fast);
    find_beside(s);
    SENVEC_TRY(look_beside(s, out, &found, err));
    if (found)
        return SENVEC_OK;
    SENVEC_TRY(find_cached(s, err));
    SENVEC_TRY(look_in_cache(s, out, &found, err));
    if (found)
        return SENVEC_OK;
    if (s->rules->mode == SENVEC_CALIBRATION_NEVER)
        return sv_fail(err, SENVEC_NOT_FOUND, 0,
                       "%s: no int8 calibration of it is kept, and the options forbid to make one; open it once where that is "
                       "allowed ('senvec info -p int8 -m %s'), or use fp32 or bf16",
                       s->directory, s->directory);
    int descriptor = lock(s);
    senvec_status status = SENVEC_OK;
    if (descriptor >= 0) { /* whoever held the lock may have made it; what is wrong with a file was said before */
        const sv_log silent = {0}, *log = s->log;
        s->log = &silent;
        status = look_beside(s, out, &found, err);
        if (status == SENVEC_OK)
            status = look_in_cache(s, out, &found, err);
        s->log = log;
    }
    if (status == SENVEC_OK && !found)
        status = calibrate_and_keep(s, kernels, out, err);
    if (descriptor >= 0)
        close(descriptor);
    return status;
}

senvec_status sv_quantized_obtain(const char *directory, const sv_config *config, const sv_weights *weights,
                                  const sv_tokenizer *tokenizer, const sv_kernels *kernels, const sv_calibration_rules *rules,
                                  const sv_log *log, sv_arena *arena, sv_quantized *out, senvec_error *err) {
    sv_arena scratch;
    sample_sets sets;
    sv_arena_init(&scratch, &arena->allocator);
    senvec_status status = make_samples(config, tokenizer, NULL, 0, &scratch, &sets, err);
    if (status == SENVEC_OK) {
        search s = {directory, config, weights, &sets, rules, log, arena, &scratch, {"", ""}, "", "", ""};
        status = obtain(&s, kernels, out, err);
    }
    sv_arena_release(&scratch);
    return status;
}

senvec_status sv_quantized_calibrate(const sv_config *config, const sv_weights *weights, const sv_tokenizer *tokenizer,
                                     const sv_kernels *kernels, const senvec_text *texts, size_t count, sv_arena *arena,
                                     sv_quantized *out, senvec_error *err) {
    sv_arena scratch;
    sv_arena_init(&scratch, &arena->allocator);
    sample_sets sets;
    senvec_status status = make_samples(config, tokenizer, texts, count, &scratch, &sets, err);
    if (status == SENVEC_OK)
        status = calibrate(config, weights, kernels, &sets, arena, out, err);
    sv_arena_release(&scratch);
    return status;
}
