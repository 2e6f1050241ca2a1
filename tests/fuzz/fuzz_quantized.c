/* Files of int8 weights whose hash is right whatever was changed: the calibration beside a model, and a native file. Opening
 * the model is refused with a message, or it embeds texts to finite numbers or says that it can't. (Without the right hash,
 * which anybody can compute who makes such a file, nearly every change ends at the hash; fuzz_model has those.)
 *
 * The first byte chooses the file; then come changes of four bytes (place, 24 bits; new byte), where a place with its highest
 * bit set is one of the header. The hash comes from the message that refuses the file. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "senvec.h"
#include "support/test_models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALIBRATION, NATIVE, FILES, HASH = 16 };

static char folder[512], paths[FILES][1024], *contents[FILES];
static size_t sizes[FILES], headers[FILES];
static char said[1200]; /* the last line of the log that speaks of a hash */

static void require(int kept) {
    if (!kept)
        abort();
}

static void note(void *context, senvec_log_level level, const char *line) {
    (void)context, (void)level;
    if (strstr(line, "have the hash "))
        snprintf(said, sizeof said, "%s", line);
}

static senvec_status open_model(const char *path, senvec_calibration calibration, senvec_model **out, senvec_error *err) {
    const senvec_model_options options = {.precision = SENVEC_PRECISION_INT8, .calibration = calibration, .log = note};
    said[0] = '\0';
    senvec_status status = senvec_model_open(path, &options, out, err);
    if (status != SENVEC_OK) {
        require(err->message[0] != '\0');
        if (strstr(err->message, "have the hash "))
            snprintf(said, sizeof said, "%s", err->message);
    }
    return status;
}

static void prepare(void) {
    senvec_error err;
    senvec_model *model;
    snprintf(folder, sizeof folder, "%s", test_copy_tiny("model"));
    setenv("SENVEC_CACHE", test_path("cache"), 1);
    snprintf(paths[CALIBRATION], sizeof paths[CALIBRATION], "%s/senvec-int8.safetensors", folder);
    snprintf(paths[NATIVE], sizeof paths[NATIVE], "%s", test_path("native"));
    require(open_model(folder, SENVEC_CALIBRATION_BESIDE, &model, &err) == SENVEC_OK);
    senvec_model_free(model);
    require(senvec_quantize(folder, paths[NATIVE], NULL, &err) == SENVEC_OK);
    for (size_t i = 0; i < FILES; i++) {
        contents[i] = test_read(paths[i], &sizes[i]);
        headers[i] = 8 + ((size_t)(uint8_t)contents[i][0] | (size_t)(uint8_t)contents[i][1] << 8);
    }
}

/* Puts the hash that the file has, by the message, in the place of the one that it should have. False: it said nothing so. */
static int correct_hash(char *file, size_t length) {
    const char *found = strstr(said, "have the hash "), *wanted = found ? strstr(found, "should have ") : NULL;
    if (!wanted || strlen(wanted + 12) < HASH)
        return 0;
    char *at = memmem(file, length, wanted + 12, HASH);
    if (at)
        memcpy(at, found + 14, HASH);
    return at != NULL;
}

static void embed(senvec_model *model) {
    static const senvec_text texts[] = {{"one", 3}, {NULL, 0}, {"a longer text, with \xc3\xa9", 22}};
    senvec_session *session;
    senvec_error err = {0};
    senvec_model_info info;
    senvec_model_describe(model, &info);
    require(senvec_session_open(model, &(senvec_session_options){.threads = 1}, &session, &err) == SENVEC_OK);
    float *vectors = malloc(3 * info.dimensions * sizeof *vectors);
    require(vectors != NULL);
    if (info.task == SENVEC_TASK_EMBEDDING) {
        if (senvec_embed(session, texts, 3, vectors, info.dimensions, NULL, &err) != SENVEC_OK)
            require(err.message[0] != '\0');
        else
            for (size_t i = 0; i < 3 * info.dimensions; i++)
                require(isfinite(vectors[i]));
    }
    free(vectors);
    senvec_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*folder)
        prepare();
    if (size == 0)
        return 0;
    const size_t which = data[0] % FILES, length = sizes[which];
    char *copy = malloc(length);
    require(copy != NULL);
    memcpy(copy, contents[which], length);
    for (size_t at = 1; size - at >= 4; at += 4) {
        size_t place = (size_t)data[at] | (size_t)data[at + 1] << 8 | (size_t)(data[at + 2] & 0x7f) << 16;
        copy[place % (data[at + 2] & 0x80 ? headers[which] : length)] = (char)data[at + 3];
    }
    const char *path = which == NATIVE ? paths[NATIVE] : folder;
    senvec_model *model = NULL;
    senvec_error err = {0};
    test_write(paths[which], copy, length);
    senvec_status status = open_model(path, SENVEC_CALIBRATION_NEVER, &model, &err);
    if (status != SENVEC_OK && correct_hash(copy, length)) {
        test_write(paths[which], copy, length);
        status = open_model(path, SENVEC_CALIBRATION_NEVER, &model, &err);
    }
    if (status == SENVEC_OK)
        embed(model);
    senvec_model_free(model);
    free(copy);
    test_write(paths[which], contents[which], sizes[which]);
    return 0;
}
