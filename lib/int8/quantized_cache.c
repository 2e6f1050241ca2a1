/* The cache of calibrations.
 *
 * Its key is a hash of all that the result depends on: the recipe's version, the model's sizes, every weight (the fingerprint
 * that is taken while they are read and checked anyway) and the sample tokens. Size and time of a file would be cheaper by
 * some milliseconds, but they survive what they must not survive: a copy that keeps times, a restored backup, another model
 * put in the same place within the same second. The key is in the file's metadata beside a hash of its own data, so that
 * neither a changed model nor a damaged file is ever used.
 *
 * Several processes may find no file at the same time. Each then calibrates and puts its own in place, whole, by renaming. */
#include "int8/quantized_cache.h"

#include <string.h>

#include "common/clock.h"
#include "common/cpu/machine.h"
#include "common/file.h"
#include "common/hash.h"
#include "int8/calibrate.h"
#include "int8/calibration_text.h"
#include "int8/quantized_file.h"

static uint64_t key_of(const sv_config *config, const sv_weights *weights, const sv_samples *samples) {
    const uint64_t numbers[] = {SV_CALIBRATION_RECIPE,  config->hidden,    config->inner,   config->layers,
                                config->heads,          samples->count,    config->family,  config->activation,
                                config->first_position, config->embedding, config->buckets, config->padding,
                                weights->fingerprint};
    uint64_t key = sv_hash(0, numbers, sizeof numbers);
    key = sv_hash(key, &config->layernorm_eps, sizeof config->layernorm_eps);
    key = sv_hash(key, samples->begin, (samples->count + 1) * sizeof *samples->begin);
    return sv_hash(key, samples->ids, samples->begin[samples->count] * sizeof *samples->ids);
}

static senvec_status own_samples(const sv_config *config, const sv_tokenizer *tokenizer, sv_arena *arena, sv_samples *out,
                                 senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, sv_calibration_text_count, sizeof(senvec_text), "calibration texts", &memory, err));
    senvec_text *texts = memory;
    for (size_t i = 0; i < sv_calibration_text_count; i++)
        texts[i] = (senvec_text){sv_calibration_texts[i], strlen(sv_calibration_texts[i])};
    return sv_samples_make(config, tokenizer, texts, sv_calibration_text_count, arena, out, err);
}

static senvec_status calibrate(const sv_config *config, const sv_weights *weights, const sv_kernels *kernels,
                               const sv_samples *samples, sv_arena *arena, sv_quantized *out, senvec_error *err) {
    sv_team *team;
    SENVEC_TRY(sv_team_open(sv_machine_threads(), &arena->allocator, &team, err));
    senvec_status status = sv_calibrate(config, weights, kernels, samples, team, arena, out, err);
    sv_team_close(team);
    return status;
}

/* Opens the file at `path` and takes the model from it, if its key is the right one. NOT_FOUND if there is no such file, or one
 * of another key. */
static senvec_status read_file(const char *path, const sv_config *config, const char *key, sv_arena *arena, sv_quantized *out,
                               senvec_error *err) {
    sv_safetensors *file;
    SENVEC_TRY(sv_safetensors_open(path, &file, err));
    const char *has = sv_safetensors_metadata(file, "key");
    senvec_status status =
        has && strcmp(has, key) == 0
            ? sv_quantized_read(file, path, config, sv_safetensors_metadata(file, "content"), arena, out, err)
            : sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: was made of another model or by another version", path);
    sv_safetensors_close(file);
    return status;
}

static senvec_status write_file(const char *path, const sv_config *config, const char *key, const sv_quantized *quantized,
                                sv_arena *arena, senvec_error *err) {
    char content[SV_QUANTIZED_HASH];
    sv_quantized_hash_text(sv_quantized_hash(config, quantized), content);
    const char *const metadata[][2] = {{"senvec", "int8 calibration"}, {"key", key}, {"content", content}, {NULL, NULL}};
    sv_tensor_list list;
    SENVEC_TRY(sv_tensor_list_init(&list, config, 0, arena, err));
    SENVEC_TRY(sv_tensor_list_floats(&list, config, quantized, arena, err));
    SENVEC_TRY(sv_tensor_list_weights(&list, config, quantized, arena, err));
    return sv_tensor_list_write(&list, path, metadata, err);
}

/* The places where the file may be, best first; an empty one doesn't exist. */
enum { BESIDE, CACHE, PLACES };

static void find_places(const char *directory, const char *key, char folder[SV_MAX_PATH], char paths[PLACES][SV_MAX_PATH]) {
    char name[64];
    snprintf(name, sizeof name, "%s.safetensors", key);
    if (sv_path_join(directory, SV_QUANTIZED_CACHE_FILE, paths[BESIDE], NULL) != SENVEC_OK)
        paths[BESIDE][0] = '\0';
    if (sv_cache_path("int8", folder, NULL) != SENVEC_OK || sv_path_join(folder, name, paths[CACHE], NULL) != SENVEC_OK)
        paths[CACHE][0] = '\0';
}

/* Writes to the first place that takes it. */
static void keep(char paths[PLACES][SV_MAX_PATH], const char *folder, const sv_config *config, const char *key,
                 const sv_quantized *quantized, sv_arena *arena, const sv_log *log) {
    senvec_error cause = {.message = "no place for it"};
    for (size_t i = 0; i < PLACES; i++) {
        if (!paths[i][0] || (i == CACHE && sv_make_directories(folder, &cause) != SENVEC_OK))
            continue;
        if (write_file(paths[i], config, key, quantized, arena, &cause) == SENVEC_OK) {
            sv_log_line(log, SENVEC_LOG_INFO, "%s: calibration written", paths[i]);
            return;
        }
    }
    sv_log_line(log, SENVEC_LOG_WARNING,
                "the calibration could not be kept and will be made again at the next start: %s; set SENVEC_CACHE to a folder "
                "that can be written",
                cause.message);
}

/* From a file, if one is right; else *found is false. Memory that runs out is no fault of the file's, and calibration would
 * need more of it. */
static senvec_status find(char paths[PLACES][SV_MAX_PATH], const sv_config *config, const char *key, sv_arena *arena,
                          sv_quantized *out, bool *found, const sv_log *log, senvec_error *err) {
    *found = false;
    for (size_t i = 0; i < PLACES && !*found; i++) {
        senvec_error cause;
        if (!paths[i][0])
            continue;
        senvec_status status = read_file(paths[i], config, key, arena, out, &cause);
        if (status == SENVEC_OUT_OF_MEMORY)
            return sv_fail(err, status, 0, "%s", cause.message);
        *found = status == SENVEC_OK;
        if (!*found)
            sv_log_line(log, status == SENVEC_NOT_FOUND ? SENVEC_LOG_INFO : SENVEC_LOG_WARNING,
                        "no calibration from a file: %s", cause.message);
    }
    return SENVEC_OK;
}

senvec_status sv_quantized_obtain(const char *directory, const sv_config *config, const sv_weights *weights,
                                  const sv_tokenizer *tokenizer, const sv_kernels *kernels, const sv_log *log, sv_arena *arena,
                                  sv_quantized *out, senvec_error *err) {
    sv_arena scratch;
    sv_arena_init(&scratch, &arena->allocator);
    sv_samples samples;
    senvec_status status = own_samples(config, tokenizer, &scratch, &samples, err);
    if (status == SENVEC_OK) {
        char key[SV_QUANTIZED_HASH], folder[SV_MAX_PATH], paths[PLACES][SV_MAX_PATH];
        sv_quantized_hash_text(key_of(config, weights, &samples), key);
        find_places(directory, key, folder, paths);
        bool found = false;
        status = find(paths, config, key, arena, out, &found, log, err);
        if (status == SENVEC_OK && !found) {
            uint64_t begun = sv_clock_ns();
            sv_log_line(log, SENVEC_LOG_WARNING, "%s: int8 is used for the first time: calibrating, some seconds", directory);
            status = calibrate(config, weights, kernels, &samples, arena, out, err);
            if (status == SENVEC_OK) {
                sv_log_line(log, SENVEC_LOG_INFO, "calibrated in %.1f s",
                            (double)(sv_clock_ns() - begun) / (double)SV_NS_PER_S);
                keep(paths, folder, config, key, out, &scratch, log);
            }
        }
    }
    sv_arena_release(&scratch);
    return status;
}

senvec_status sv_quantized_calibrate(const sv_config *config, const sv_weights *weights, const sv_tokenizer *tokenizer,
                                     const sv_kernels *kernels, const senvec_text *texts, size_t count, sv_arena *arena,
                                     sv_quantized *out, senvec_error *err) {
    sv_arena scratch;
    sv_arena_init(&scratch, &arena->allocator);
    sv_samples samples;
    senvec_status status = sv_samples_make(config, tokenizer, texts, count, &scratch, &samples, err);
    if (status == SENVEC_OK)
        status = calibrate(config, weights, kernels, &samples, arena, out, err);
    sv_arena_release(&scratch);
    return status;
}
