/* Putting a tokenizer together: from tokenizer.json, or else from vocab.txt, then the tables that encoding uses. */
#include <assert.h>

#include "common/file.h"
#include "common/model_files.h"
#include "common/utf8.h"
#include "text/charclass.h"
#include "text/normalizer.h"
#include "text/pipeline.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_read.h"
#include "text/unigram.h"

senvec_status sv_token_texts_init(sv_token_texts *texts, size_t size, size_t bytes, sv_arena *arena, senvec_error *err) {
    void *entries, *text;
    SENVEC_TRY(sv_arena_alloc(arena, size, sizeof *texts->entries, "the tokens' texts", &entries, err));
    SENVEC_TRY(sv_arena_alloc(arena, bytes, 1, "the tokens' texts", &text, err));
    *texts = (sv_token_texts){.bytes = text, .capacity = bytes, .entries = entries, .size = size};
    return SENVEC_OK;
}

void sv_token_texts_add(sv_token_texts *texts, uint32_t id, const char *text, size_t length) {
    assert(id < texts->size && texts->capacity - texts->used >= length);
    texts->entries[id] = (struct sv_token_text){(uint32_t)texts->used, (uint32_t)length};
    if (length > 0)
        memcpy(texts->bytes + texts->used, text, length);
    texts->used += length;
}

senvec_status sv_tokenizer_reserve(sv_tokenizer *tokenizer, size_t tokens, size_t bytes, size_t size, const char *path,
                                   senvec_error *err) {
    if (tokens > SV_MAX_VOCABULARY)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu tokens, but at most %u are read", path, tokens, SV_MAX_VOCABULARY);
    SENVEC_TRY(sv_token_texts_init(&tokenizer->texts, size, bytes, &tokenizer->arena, err));
    /* Twice: a token may be entered as a start and as a continuation. */
    return sv_vocabulary_init(&tokenizer->wordpiece.vocabulary, 2 * tokens, 2 * bytes, &tokenizer->arena, err);
}

senvec_status sv_tokenizer_add(sv_tokenizer *tokenizer, const char *text, size_t length, uint64_t id, const char *path,
                               senvec_error *err) {
    if (id >= SV_MAX_VOCABULARY)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: token \"%.40s\" has id %llu, but ids end at %u", path, text,
                       (unsigned long long)id, SV_MAX_VOCABULARY - 1);
    SENVEC_TRY(sv_tokenizer_note(tokenizer, text, length, (uint32_t)id, path, err));
    sv_wordpiece *model = &tokenizer->wordpiece;
    const uint8_t *bytes = (const uint8_t *)text;
    if (length > 0)
        sv_vocabulary_add(&model->vocabulary, SV_PIECE_START, bytes, length, (uint32_t)id);
    size_t prefix = model->prefix_length;
    if (length > prefix && memcmp(text, model->prefix, prefix) == 0)
        sv_vocabulary_add(&model->vocabulary, SV_PIECE_REST, bytes + prefix, length - prefix, (uint32_t)id);
    return SENVEC_OK;
}

bool sv_tokenizer_id(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *id) {
    const uint8_t *bytes = (const uint8_t *)text;
    switch (tokenizer->model) {
    case SV_MODEL_WORDPIECE:
        return sv_vocabulary_get(&tokenizer->wordpiece.vocabulary, SV_PIECE_START, bytes, length, id);
    case SV_MODEL_UNIGRAM:
        return sv_unigram_find(tokenizer->unigram, bytes, length, id);
    case SV_MODEL_BPE:
        return sv_vocabulary_get(&tokenizer->names, SV_PIECE_START, bytes, length, id);
    }
    return false;
}

void sv_template_usual(sv_tokenizer *tokenizer, uint32_t first, uint32_t last, bool roberta) {
    tokenizer->single = (sv_template){{{-1, first, 0}, {0, 0, 0}, {-1, last, 0}}, 3, 2};
    if (roberta)
        tokenizer->pair =
            (sv_template){{{-1, first, 0}, {0, 0, 0}, {-1, last, 0}, {-1, last, 0}, {1, 0, 0}, {-1, last, 0}}, 6, 4};
    else
        tokenizer->pair = (sv_template){{{-1, first, 0}, {0, 0, 0}, {-1, last, 0}, {1, 0, 1}, {-1, last, 1}}, 5, 3};
}

/* What to do at an ASCII byte; everything that isn't simple is left to the slow path. */
static sv_byte_kind byte_kind(const sv_tokenizer *tokenizer, unsigned byte) {
    bool starts_added_token = tokenizer->added.start[byte] < tokenizer->added.start[byte + 1];
    bool clean_text = tokenizer->normalizers[0].clean_text;
    if (byte >= 0x80 || starts_added_token)
        return SV_BYTE_SLOW;
    switch (sv_char_classify(byte)) {
    case SV_CHAR_SPACE:
        return SV_BYTE_SPACE;
    case SV_CHAR_BREAK:
        return clean_text ? SV_BYTE_SKIP : SV_BYTE_SPACE;
    case SV_CHAR_CONTROL:
        return clean_text ? SV_BYTE_SKIP : SV_BYTE_WORD;
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
        tokenizer->lower[byte] = (uint8_t)(tokenizer->normalizers[0].lowercase ? lower[0] : byte);
    }
}

/* Whether sv_bert_encode can do it: BERT's steps, and no added token in the raw text but such as it looks for. lstrip and
 * rstrip need nothing there: they give a token the white space beside it, and white space has no ids anyway. (A token that
 * starts with white space itself could be disturbed by them.) */
static bool has_bert_steps(const sv_tokenizer *tokenizer) {
    if (tokenizer->model != SV_MODEL_WORDPIECE || tokenizer->normalizer_count != 1 ||
        tokenizer->normalizers[0].kind != SV_NORMALIZER_BERT || tokenizer->pre_tokenizer_count != 1 ||
        tokenizer->pre_tokenizers[0].kind != SV_PRE_TOKENIZER_BERT)
        return false;
    for (size_t i = 0; i < tokenizer->added.count; i++) {
        const sv_added_token *token = &tokenizer->added.tokens[i];
        uint32_t first;
        bool invalid = false;
        sv_utf8_decode((const uint8_t *)token->text, (const uint8_t *)token->text + token->length, &first, &invalid);
        sv_char_class class = sv_char_classify(first);
        if (token->single_word || (token->special && tokenizer->split_specials) || class == SV_CHAR_SPACE ||
            class == SV_CHAR_BREAK)
            return false;
    }
    return true;
}

/* Which ASCII bytes the first one of an added token in the normalised text may come from, if the text is ASCII. */
static void find_suspects(sv_tokenizer *tokenizer) {
    for (unsigned byte = 0; byte < 128; byte++) {
        tokenizer->suspect[byte] |= tokenizer->normalised.begins[byte];
        tokenizer->suspect[byte] |= tokenizer->normalised.begins[tokenizer->lower[byte]];
    }
}

/* Chooses the reader. The path of a file is that of the folder and its name. */
static senvec_status read_files(sv_tokenizer *tokenizer, const char *folder, const sv_tokenizer_files *files,
                                const sv_tokenizer_config *config, senvec_error *err) {
    char path[SV_MAX_PATH];
    if (files->json) {
        SENVEC_TRY(sv_path_join(folder, SV_MODEL_TOKENIZER, path, err));
        SENVEC_TRY(sv_tokenizer_read_json(tokenizer, path, *files->json, config, err));
    } else if (files->vocabulary) {
        SENVEC_TRY(sv_path_join(folder, SV_MODEL_VOCABULARY, path, err));
        SENVEC_TRY(sv_tokenizer_read_vocabulary(tokenizer, path, *files->vocabulary, config, err));
    } else {
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: no tokenizer.json and no vocab.txt; is this a model directory?", folder);
    }
    return sv_added_tokens_finish(tokenizer, path, err);
}

static senvec_status read_all(sv_tokenizer *tokenizer, const char *folder, const sv_tokenizer_files *files, senvec_error *err) {
    sv_tokenizer_config config;
    senvec_status status = sv_tokenizer_config_open(&config, folder, files->config, err);
    if (status == SENVEC_OK)
        status = read_files(tokenizer, folder, files, &config, err);
    sv_tokenizer_config_close(&config);
    return status;
}

senvec_status sv_tokenizer_load_files(const char *folder, const sv_tokenizer_files *files, const senvec_allocator *allocator,
                                      sv_tokenizer **out, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, allocator);
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&arena, 1, sizeof(sv_tokenizer), "the tokenizer", &memory, err));
    sv_tokenizer *tokenizer = memory;
    tokenizer->arena = arena;
    senvec_status status = read_all(tokenizer, folder, files, err);
    if (status != SENVEC_OK) {
        sv_tokenizer_free(tokenizer);
        return status;
    }
    tokenizer->is_local = sv_pipeline_is_local(tokenizer);
    tokenizer->bert_steps = has_bert_steps(tokenizer);
    tokenizer->encode = tokenizer->bert_steps && tokenizer->normalised.count == 0 ? sv_bert_encode : sv_pipeline_encode;
    if (tokenizer->bert_steps) {
        make_byte_tables(tokenizer);
        find_suspects(tokenizer);
    }
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
    senvec_status status = map_file(directory, SV_MODEL_TOKENIZER, &maps->json, &files->json, err);
    if (status == SENVEC_OK && !files->json)
        status = map_file(directory, SV_MODEL_VOCABULARY, &maps->vocabulary, &files->vocabulary, err);
    if (status == SENVEC_OK)
        status = map_file(directory, SV_MODEL_TOKENIZER_CONFIG, &maps->config, &files->config, err);
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
