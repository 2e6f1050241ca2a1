/* Models with damage: whatever is changed in a file of one, opening it is refused with a message, or it embeds.
 *
 * An input is a list of changes of four bytes: the first input byte chooses the file, one of the tiny model's folder or the
 * native file of it; then come changes (place, 24 bits; new byte), and a last one that isn't whole cuts the file at a place. So
 * small inputs reach everything, and what is not changed stays right. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "senvec.h"
#include "support/test_models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "config.json",           "modules.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json",
    "1_Pooling/config.json", "vocab.txt",    "model.safetensors",
};
enum { FILES = sizeof names / sizeof *names, NATIVE = FILES };

static char paths[FILES + 1][1024], *contents[FILES + 1], folder[512];
static size_t sizes[FILES + 1];

static void require(int kept) {
    if (!kept)
        abort();
}

static void prepare(void) {
    senvec_error err;
    snprintf(folder, sizeof folder, "%s", test_copy_tiny("model"));
    for (size_t i = 0; i < FILES; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    snprintf(paths[NATIVE], sizeof paths[NATIVE], "%s", test_path("native"));
    require(senvec_quantize(folder, paths[NATIVE], NULL, &err) == SENVEC_OK);
    for (size_t i = 0; i <= NATIVE; i++)
        contents[i] = test_read(paths[i], &sizes[i]);
}

static void embed(const char *path, senvec_precision precision) {
    static const senvec_text texts[] = {{"one", 3}, {NULL, 0}, {"a longer text, with \xc3\xa9", 22}};
    senvec_model *model;
    senvec_session *session;
    senvec_error err = {0};
    const senvec_model_options options = {.precision = precision};
    if (senvec_model_open(path, &options, &model, &err) != SENVEC_OK) {
        require(err.message[0] != '\0');
        return;
    }
    senvec_model_info info;
    senvec_model_describe(model, &info);
    require(senvec_session_open(model, &(senvec_session_options){.threads = 1}, &session, &err) == SENVEC_OK);
    float *vectors = malloc(3 * info.dimensions * sizeof *vectors);
    require(vectors != NULL);
    if (info.task == SENVEC_TASK_EMBEDDING)
        require(senvec_embed(session, texts, 3, vectors, info.dimensions, NULL, &err) == SENVEC_OK || err.message[0]);
    free(vectors);
    senvec_session_free(session);
    senvec_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*folder)
        prepare();
    if (size == 0)
        return 0;
    const size_t file = data[0] % (FILES + 1);
    size_t length = sizes[file];
    char *copy = malloc(length + 1);
    require(copy != NULL);
    memcpy(copy, contents[file], length);
    size_t at = 1;
    for (; size - at >= 4; at += 4)
        copy[((size_t)data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16) % length] = (char)data[at + 3];
    if (size - at >= 2)
        length = ((size_t)data[at] | (size_t)data[at + 1] << 8) * 7 % (length + 1);
    test_write(paths[file], copy, length);
    free(copy);
    embed(file == NATIVE ? paths[NATIVE] : folder, file == NATIVE ? SENVEC_PRECISION_INT8 : SENVEC_PRECISION_FP32);
    test_write(paths[file], contents[file], sizes[file]);
    return 0;
}
