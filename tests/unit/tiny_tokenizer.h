/* A tiny tokenizer in a temporary folder, for the tests that load one. Included by test programs only, so all is static. */
#ifndef SV_TESTS_TINY_TOKENIZER_H
#define SV_TESTS_TINY_TOKENIZER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "text/tokenizer.h"

enum { UNK, CLS, SEP, MASK, HE, LLO, WORLD, A, REST_A, COMMA, CAFE, CJK, BRACKET, E_ACUTE, HE_UPPER, VIRAMA_PAIR, SIGMA };

#define VOCABULARY                                                                                                             \
    "\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"[MASK]\":3,\"he\":4,\"##llo\":5,\"world\":6,\"a\":7,\"##a\":8,\",\":9,"             \
    "\"cafe\":10,\"\xe4\xb8\xad\":11,\"[\":12,\"\xc3\xa9\":13,\"HE\":14,\"x\xe3\x80\xae\xf0\x9d\x85\xad\":15,\"\xcf\x83\":16"
#define ADDED(id, content, options) "{\"id\":" #id ",\"content\":\"" content "\",\"special\":true," options "}"
#define PLAIN "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false"
#define ADDED_TOKENS                                                                                                           \
    ADDED(0, "[UNK]", PLAIN) "," ADDED(1, "[CLS]", PLAIN) "," ADDED(2, "[SEP]", PLAIN) "," ADDED(3, "[MASK]", PLAIN)
#define NORMALIZER(clean, cjk, accents, lower)                                                                                 \
    "{\"type\":\"BertNormalizer\",\"clean_text\":" #clean ",\"handle_chinese_chars\":" #cjk ",\"strip_accents\":" #accents     \
    ",\"lowercase\":" #lower "}"
#define PRE_TOKENIZER "{\"type\":\"BertPreTokenizer\"}"
#define MODEL(vocabulary)                                                                                                      \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"   \
    "\"vocab\":{" vocabulary "}}"
#define TEMPLATE                                                                                                               \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},"                        \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[],"            \
    "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[1],\"tokens\":[\"[CLS]\"]},"                                     \
    "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[2],\"tokens\":[\"[SEP]\"]}}}"
#define FILE_OF(added, normalizer, pre_tokenizer, model, post_processor)                                                       \
    "{\"version\":\"1.0\",\"truncation\":{\"max_length\":4},\"padding\":{\"strategy\":{\"Fixed\":9}},\"added_tokens\":[" added \
    "],\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre_tokenizer ",\"post_processor\":" post_processor                   \
    ",\"decoder\":null,\"model\":" model "}"
#define UNCASED NORMALIZER(true, true, null, true)
#define USUAL FILE_OF(ADDED_TOKENS, UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY), TEMPLATE)

static char directory[] = "/tmp/senvec-tokenizer-XXXXXX";

static inline void write_file(const char *name, const char *content) {
    char path[SV_MAX_PATH];
    assert_int_equal(sv_path_join(directory, name, path, NULL), SENVEC_OK);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
}

static inline void remove_file(const char *name) {
    char path[SV_MAX_PATH];
    assert_int_equal(sv_path_join(directory, name, path, NULL), SENVEC_OK);
    unlink(path);
}

static inline sv_tokenizer *load(const char *json) {
    write_file("tokenizer.json", json);
    sv_tokenizer *tokenizer = NULL;
    senvec_error err = {0};
    if (sv_tokenizer_load(directory, NULL, &tokenizer, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

/* Asserts that a text gives [CLS], the ids that follow (up to a negative one), [SEP]. */
static inline void expect(const sv_tokenizer *tokenizer, const char *text, size_t length, ...) {
    uint32_t ids[300];
    sv_tokens tokens = sv_tokenizer_encode(tokenizer, text, length, SENVEC_TRUNCATION_AUTO, ids, 300);
    size_t count = 1;
    assert_int_equal(ids[0], CLS);
    va_list wanted;
    va_start(wanted, length);
    for (int id; (id = va_arg(wanted, int)) >= 0; count++) {
        if (count + 1 >= tokens.count || ids[count] != (uint32_t)id)
            fail_msg("\"%s\": id %zu is not %d", text, count, id);
    }
    va_end(wanted);
    assert_int_equal(tokens.count, count + 1);
    assert_int_equal(ids[count], SEP);
    assert_false(tokens.truncated);
}
#define EXPECT(tokenizer, literal, ...) expect(tokenizer, literal, sizeof(literal) - 1, __VA_ARGS__)

/* Loads what must fail, and looks for `part` in the error. */
static inline void refused(senvec_status status, const char *part) {
    sv_tokenizer *tokenizer = (sv_tokenizer *)directory;
    senvec_error err = {0};
    senvec_status got = sv_tokenizer_load(directory, NULL, &tokenizer, &err);
    if (got != status || !strstr(err.message, part))
        fail_msg("%s, not %s: \"%s\" lacks \"%s\"", senvec_status_name(got), senvec_status_name(status), err.message, part);
    assert_ptr_equal(tokenizer, directory); /* untouched */
}

static inline int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_directory(void **state) {
    (void)state;
    remove_file("tokenizer.json");
    return rmdir(directory);
}

#endif
