/* The model's configuration: any content of any of its files is refused with a message, or gives sizes within the limits.
 *
 * An input's first byte chooses the file ('0' modules.json, '1' config.json, ...), the rest is its content; the other files are
 * those of a small valid model. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "model/config.h"

static const struct {
    const char *name, *valid;
} files[] = {
    {"modules.json", "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
                     "{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
                     "{\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}]"},
    {"config.json", "{\"model_type\":\"bert\",\"hidden_size\":4,\"intermediate_size\":8,\"num_hidden_layers\":1,"
                    "\"num_attention_heads\":2,\"vocab_size\":9,\"max_position_embeddings\":16}"},
    {"sentence_bert_config.json", "{}"},
    {"tokenizer_config.json", "{\"model_max_length\":8}"},
    {"config_sentence_transformers.json", "{\"default_prompt_name\":null}"},
    {"1_Pooling/config.json", "{\"embedding_dimension\":4}"},
    {"2_Normalize/config.json", "{}"},
};
enum { FILES = sizeof files / sizeof *files };

static char directory[] = "/tmp/senvec-fuzz-config-XXXXXX";
static int ready;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The library never aborts, a broken promise does. */
static void require(int kept) {
    if (!kept)
        abort();
}

static void write_file(const char *name, const void *data, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    require(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void clean_up(void) {
    char path[256];
    for (size_t i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i].name);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/1_Pooling", directory);
    rmdir(path);
    snprintf(path, sizeof path, "%s/2_Normalize", directory);
    rmdir(path);
    rmdir(directory);
}

static void set_up(void) {
    char path[256];
    require(mkdtemp(directory) != NULL);
    atexit(clean_up);
    snprintf(path, sizeof path, "%s/1_Pooling", directory);
    require(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/2_Normalize", directory);
    require(mkdir(path, 0700) == 0);
    for (size_t i = 0; i < FILES; i++)
        write_file(files[i].name, files[i].valid, strlen(files[i].valid));
    sv_config config;
    require(sv_config_load(directory, &config, NULL) == SENVEC_OK);
    ready = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!ready)
        set_up();
    if (size == 0)
        return 0;
    size_t which = data[0] % 16 % FILES; /* '0' is 48, a multiple of 16 */
    write_file(files[which].name, data + 1, size - 1);
    sv_config config;
    senvec_error err;
    if (sv_config_load(directory, &config, &err) == SENVEC_OK) {
        require(config.hidden >= 1 && config.hidden <= SV_MAX_HIDDEN && config.inner >= 1 && config.inner <= SV_MAX_INNER);
        require(config.heads >= 1 && config.hidden % config.heads == 0);
        require(config.layers >= 1 && config.layers <= SV_MAX_LAYERS && config.vocabulary <= SV_MAX_VOCABULARY);
        require(config.max_seq_length >= 2 && config.max_seq_length <= config.positions);
        require(config.layernorm_eps > 0);
        require(strlen(config.transformer_directory) < sizeof config.transformer_directory);
    } else {
        require(strstr(err.message, directory) != NULL);
    }
    write_file(files[which].name, files[which].valid, strlen(files[which].valid));
    return 0;
}
