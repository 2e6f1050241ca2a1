/* Putting a tokenizer together: from tokenizer.json, or else from vocab.txt, then the tables that encoding uses. */
#include <jansson.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/utf8.h"
#include "text/charclass.h"
#include "text/tokenizer_internal.h"

senvec_status sv_json_parse(const char *path, sv_file_map file, size_t flags, json_t **out, senvec_error *err) {
    if (file.size > SV_MAX_JSON_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu bytes, but at most %u are read", path, file.size, SV_MAX_JSON_BYTES);
    if (file.size == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: the file is empty; fetch it again", path);
    json_error_t problem;
    json_t *json = json_loadb((const char *)file.data, file.size, flags, &problem);
    if (!json)
        return sv_fail(err, SENVEC_FORMAT, (uint64_t)problem.position, "%s: not valid JSON: line %d, byte %d: %s", path,
                       problem.line, problem.position, problem.text);
    *out = json;
    return SENVEC_OK;
}

senvec_status sv_tokenizer_reserve(sv_tokenizer *tokenizer, size_t tokens, size_t bytes, const char *path, senvec_error *err) {
    if (tokens > SV_MAX_VOCABULARY)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu tokens, but at most %u are read", path, tokens, SV_MAX_VOCABULARY);
    /* Twice: a token may be entered as a start and as a continuation. */
    return sv_vocabulary_init(&tokenizer->vocabulary, 2 * tokens, 2 * bytes, &tokenizer->arena, err);
}

senvec_status sv_tokenizer_add(sv_tokenizer *tokenizer, const char *text, size_t length, uint64_t id, const char *path,
                               senvec_error *err) {
    if (id >= SV_MAX_VOCABULARY)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: token \"%.40s\" has id %llu, but ids end at %u", path, text,
                       (unsigned long long)id, SV_MAX_VOCABULARY - 1);
    if (length > SV_MAX_TOKEN_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: token %llu has %zu bytes, but at most %u are read", path,
                       (unsigned long long)id, length, SV_MAX_TOKEN_BYTES);
    tokenizer->tokens++;
    if (id >= tokenizer->size)
        tokenizer->size = (size_t)id + 1;
    const uint8_t *bytes = (const uint8_t *)text;
    if (length > 0)
        sv_vocabulary_add(&tokenizer->vocabulary, SV_PIECE_START, bytes, length, (uint32_t)id);
    size_t prefix = tokenizer->prefix_length;
    if (length > prefix && memcmp(text, tokenizer->prefix, prefix) == 0)
        sv_vocabulary_add(&tokenizer->vocabulary, SV_PIECE_REST, bytes + prefix, length - prefix, (uint32_t)id);
    return SENVEC_OK;
}

bool sv_tokenizer_id(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *id) {
    uint64_t hash = sv_vocabulary_hash_start(SV_PIECE_START);
    for (size_t i = 0; i < length; i++)
        hash = sv_vocabulary_hash_step(hash, (uint8_t)text[i]);
    return length > 0 && sv_vocabulary_find(&tokenizer->vocabulary, hash, SV_PIECE_START, (const uint8_t *)text, length, id);
}

static int compare_added(const void *left, const void *right) {
    const sv_added_token *a = left, *b = right;
    if (a->text[0] != b->text[0])
        return (uint8_t)a->text[0] < (uint8_t)b->text[0] ? -1 : 1;
    return a->length > b->length ? -1 : a->length < b->length;
}

static void index_added_tokens(sv_tokenizer *tokenizer) {
    if (tokenizer->added_count > 0)
        qsort(tokenizer->added, tokenizer->added_count, sizeof *tokenizer->added, compare_added);
    size_t i = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (i < tokenizer->added_count && (uint8_t)tokenizer->added[i].text[0] < byte)
            i++;
        tokenizer->added_start[byte] = (uint32_t)i;
    }
}

/* What to do at an ASCII byte; everything that isn't simple is left to the slow path. */
static sv_byte_kind byte_kind(const sv_tokenizer *tokenizer, unsigned byte) {
    bool starts_added_token = tokenizer->added_start[byte] < tokenizer->added_start[byte + 1];
    if (byte >= 0x80 || starts_added_token)
        return SV_BYTE_SLOW;
    switch (sv_char_classify(byte)) {
    case SV_CHAR_SPACE:
        return SV_BYTE_SPACE;
    case SV_CHAR_BREAK:
        return tokenizer->clean_text ? SV_BYTE_SKIP : SV_BYTE_SPACE;
    case SV_CHAR_CONTROL:
        return tokenizer->clean_text ? SV_BYTE_SKIP : SV_BYTE_WORD;
    case SV_CHAR_PUNCTUATION:
        return SV_BYTE_PUNCTUATION;
    case SV_CHAR_WORD:
    case SV_CHAR_MARK:
        break;
    }
    return SV_BYTE_WORD;
}

static void make_byte_tables(sv_tokenizer *tokenizer) {
    for (unsigned byte = 0; byte < 256; byte++)
        tokenizer->kind[byte] = (uint8_t)byte_kind(tokenizer, byte);
    for (unsigned byte = 0; byte < 128; byte++) {
        uint32_t lower[SV_MAX_LOWER];
        sv_char_lower(byte, lower);
        tokenizer->lower[byte] = (uint8_t)(tokenizer->lowercase ? lower[0] : byte);
    }
}

/* Each token has a slot with its whole text: that of SV_PIECE_START. */
static senvec_status index_texts(sv_tokenizer *tokenizer, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, tokenizer->size, sizeof(uint32_t), "tokens by id", &memory, err));
    tokenizer->slot_of = memory;
    for (size_t i = 0; i <= tokenizer->vocabulary.mask; i++) {
        const sv_vocabulary_slot *slot = &tokenizer->vocabulary.slots[i];
        if (slot->key != 0 && (slot->key & 1) == SV_PIECE_START)
            tokenizer->slot_of[slot->id] = (uint32_t)i + 1;
    }
    return SENVEC_OK;
}

const char *sv_tokenizer_token(const sv_tokenizer *tokenizer, uint32_t id, size_t *length) {
    if (id >= tokenizer->size)
        return NULL;
    if (tokenizer->slot_of[id]) {
        const sv_vocabulary_slot *slot = &tokenizer->vocabulary.slots[tokenizer->slot_of[id] - 1];
        *length = slot->key / 2;
        return (const char *)tokenizer->vocabulary.text + slot->offset;
    }
    for (size_t i = 0; i < tokenizer->added_count; i++)
        if (tokenizer->added[i].id == id) {
            *length = tokenizer->added[i].length;
            return tokenizer->added[i].text;
        }
    return NULL;
}

/* Chooses the reader. The path of a file is that of the folder and its name. */
static senvec_status read_files(sv_tokenizer *tokenizer, const char *folder, const sv_tokenizer_files *files,
                                senvec_error *err) {
    char path[SV_MAX_PATH], config_path[SV_MAX_PATH];
    if (files->json) {
        SENVEC_TRY(sv_path_join(folder, SV_TOKENIZER_JSON, path, err));
        return sv_tokenizer_read_json(tokenizer, path, *files->json, err);
    }
    if (files->vocabulary) {
        SENVEC_TRY(sv_path_join(folder, SV_TOKENIZER_VOCABULARY, path, err));
        SENVEC_TRY(sv_path_join(folder, SV_TOKENIZER_CONFIG, config_path, err));
        return sv_tokenizer_read_vocabulary(tokenizer, path, *files->vocabulary, config_path, files->config, err);
    }
    return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: no tokenizer.json and no vocab.txt; is this a model directory?", folder);
}

senvec_status sv_tokenizer_load_files(const char *folder, const sv_tokenizer_files *files, const senvec_allocator *allocator,
                                      sv_tokenizer **out, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, allocator);
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&arena, 1, sizeof(sv_tokenizer), "the tokenizer", &memory, err));
    sv_tokenizer *tokenizer = memory;
    tokenizer->arena = arena;
    senvec_status status = read_files(tokenizer, folder, files, err);
    if (status == SENVEC_OK)
        status = index_texts(tokenizer, err);
    if (status != SENVEC_OK) {
        sv_tokenizer_free(tokenizer);
        return status;
    }
    index_added_tokens(tokenizer);
    make_byte_tables(tokenizer);
    *out = tokenizer;
    return SENVEC_OK;
}

senvec_status sv_tokenizer_load(const char *directory, const senvec_allocator *allocator, sv_tokenizer **out,
                                senvec_error *err) {
    sv_tokenizer_maps maps;
    SENVEC_TRY(sv_tokenizer_maps_open(&maps, directory, err));
    senvec_status status = sv_tokenizer_load_files(directory, &maps.files, allocator, out, err);
    sv_tokenizer_maps_close(&maps);
    return status;
}

/* *out <- directory/name mapped, and *file its address; NULL if there is no such file. */
static senvec_status map_file(const char *directory, const char *name, sv_file_map *out, const sv_file_map **file,
                              senvec_error *err) {
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, name, path, err));
    if (!sv_path_is_file(path))
        return SENVEC_OK;
    *file = out;
    return sv_file_map_open(path, out, err);
}

senvec_status sv_tokenizer_maps_open(sv_tokenizer_maps *maps, const char *directory, senvec_error *err) {
    *maps = (sv_tokenizer_maps){0};
    sv_tokenizer_files *files = &maps->files;
    senvec_status status = map_file(directory, SV_TOKENIZER_JSON, &maps->json, &files->json, err);
    if (status == SENVEC_OK && !files->json)
        status = map_file(directory, SV_TOKENIZER_VOCABULARY, &maps->vocabulary, &files->vocabulary, err);
    if (status == SENVEC_OK && files->vocabulary)
        status = map_file(directory, SV_TOKENIZER_CONFIG, &maps->config, &files->config, err);
    if (status != SENVEC_OK)
        sv_tokenizer_maps_close(maps);
    return status;
}

void sv_tokenizer_maps_close(sv_tokenizer_maps *maps) {
    sv_file_map_close(&maps->json);
    sv_file_map_close(&maps->vocabulary);
    sv_file_map_close(&maps->config);
    *maps = (sv_tokenizer_maps){0};
}

void sv_tokenizer_free(sv_tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    sv_arena arena = tokenizer->arena; /* the tokenizer lies in its own arena */
    sv_arena_release(&arena);
}

size_t sv_tokenizer_vocabulary(const sv_tokenizer *tokenizer) {
    return tokenizer->size;
}

size_t sv_tokenizer_memory(const sv_tokenizer *tokenizer) {
    return tokenizer->arena.bytes;
}
