/* What surrounds the ids of a text, on a tiny vocabulary: templates, cuts, pairs, and tokenizer_config.json. */
#include "tiny_tokenizer.h"

static senvec_truncation side; /* that expect_pair asks for */

/* Asserts the ids of a pair, types 0 up to the first [SEP], then 1. */
static void expect_pair(const sv_tokenizer *tokenizer, const char *a, const char *b, size_t max_ids, int truncated, ...) {
    uint32_t ids[32], types[32];
    memset(ids, 99, sizeof ids);
    sv_tokens tokens = sv_tokenizer_encode_pair(tokenizer, (senvec_text){a, strlen(a)}, (senvec_text){b, strlen(b)}, side, ids,
                                                types, max_ids);
    size_t count = 0;
    uint32_t type = 0;
    va_list wanted;
    va_start(wanted, truncated);
    for (int id; (id = va_arg(wanted, int)) >= 0; count++) {
        if (count >= tokens.count || ids[count] != (uint32_t)id || types[count] != type)
            fail_msg("\"%s\", \"%s\": id %zu is not %d of type %u", a, b, count, id, type);
        if (id == SEP)
            type = 1;
    }
    va_end(wanted);
    assert_int_equal(tokens.count, count);
    assert_int_equal(tokens.truncated, truncated);
    assert_int_equal(ids[max_ids], 0x63636363);
}

#define PAIR_TEMPLATE "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]}"

/* What the reference makes of n1 and n2 ids where n fit: tokenizers' longest_first. */
static void pairs_are_cut_longest_first(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    assert_false(sv_tokenizer_takes_pairs(t)); /* its template for pairs is empty */
    sv_tokenizer_free(t);
    t = load(FILE_OF(ADDED_TOKENS, UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY), PAIR_TEMPLATE));
    assert_true(sv_tokenizer_takes_pairs(t));
    assert_int_equal(sv_tokenizer_specials(t, true), 3);
    assert_int_equal(sv_tokenizer_specials(t, false), 2);
    expect_pair(t, "he", "world", 16, false, CLS, HE, SEP, WORLD, SEP, -1);
    expect_pair(t, "", "", 16, false, CLS, SEP, SEP, -1);
    expect_pair(t, "", "", 3, false, CLS, SEP, SEP, -1);
    expect_pair(t, "a , a , a", "he he", 10, false, CLS, A, COMMA, A, COMMA, A, SEP, HE, HE, SEP, -1);
    expect_pair(t, "a , a , a", "he he", 9, true, CLS, A, COMMA, A, COMMA, SEP, HE, HE, SEP, -1);
    expect_pair(t, "he he", "a , a , a", 9, true, CLS, HE, HE, SEP, A, COMMA, A, COMMA, SEP, -1);
    expect_pair(t, "he he", "a , a , a", 7, true, CLS, HE, HE, SEP, A, COMMA, SEP, -1);
    expect_pair(t, "he he", "a , a , a", 6, true, CLS, HE, SEP, A, COMMA, SEP, -1);
    expect_pair(t, "a , a , a", "he he", 6, true, CLS, A, COMMA, SEP, HE, SEP, -1);
    expect_pair(t, "a , a", "he he he", 6, true, CLS, A, SEP, HE, HE, SEP, -1);
    expect_pair(t, "a , a , a , a , a", "he", 5, true, CLS, A, SEP, HE, SEP, -1);
    expect_pair(t, "a a a", "he he", 4, true, CLS, A, SEP, SEP, -1); /* the longer one has the odd id */
    expect_pair(t, "a a", "he he", 4, true, CLS, SEP, HE, SEP, -1);
    expect_pair(t, "a a a a a a", "he he he he he", 6, true, CLS, A, A, SEP, HE, SEP, -1);
    expect_pair(t, "a", "he", 4, true, CLS, SEP, HE, SEP, -1);
    expect_pair(t, "a", "he", 3, true, CLS, SEP, SEP, -1);
    sv_tokenizer_free(t);
}

static void whole_texts_and_texts_of_tokens(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    enum { WORDS = 100000 };
    char *text = malloc(6 * WORDS);
    uint32_t *ids = malloc((2 * WORDS + 2) * sizeof *ids);
    assert_true(text && ids);
    for (size_t i = 0; i < WORDS; i++)
        memcpy(text + 6 * i, "hello ", 6);
    sv_tokens tokens = sv_tokenizer_count(t, text, 6 * WORDS);
    assert_int_equal(tokens.count, 2 * WORDS + 2);
    assert_false(tokens.truncated);
    tokens = sv_tokenizer_encode(t, text, 6 * WORDS, SENVEC_TRUNCATION_AUTO, ids, tokens.count);
    assert_int_equal(tokens.count, 2 * WORDS + 2);
    assert_false(tokens.truncated);
    assert_int_equal(ids[2 * WORDS], LLO);
    assert_int_equal(sv_tokenizer_count(t, "", 0).count, 2);
    free(text);
    free(ids);
    size_t length;
    assert_memory_equal(sv_tokenizer_token(t, LLO, &length), "##llo", 5);
    assert_int_equal(length, 5);
    assert_memory_equal(sv_tokenizer_token(t, CLS, &length), "[CLS]", 5);
    assert_null(sv_tokenizer_token(t, 17, &length));
    assert_null(sv_tokenizer_token(t, UINT32_MAX, &length));
    sv_tokenizer_free(t);
    t = load(FILE_OF(ADDED(17, "<new>", PLAIN), UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY), TEMPLATE));
    assert_memory_equal(sv_tokenizer_token(t, 17, &length), "<new>", 5);
    assert_memory_equal(sv_tokenizer_token(t, SIGMA, &length), "\xcf\x83", 2);
    sv_tokenizer_free(t);
}

/* tokenizer_config.json of a class that makes the tokenizer anew, and of one that doesn't. */
static void configurations(void **state) {
    (void)state;
    static const struct {
        const char *config;
        int ids[4]; /* of "HE \xc3\xa9 [MASK]" */
    } cases[] = {
        {"{\"tokenizer_class\":\"BertTokenizer\"}", {HE, UNK, MASK, -1}},
        {"{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":null}", {HE, UNK, MASK, -1}},
        {"{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":false}", {HE_UPPER, E_ACUTE, MASK, -1}},
        {"{\"tokenizer_class\":\"BertTokenizerFast\",\"do_lower_case\":false}", {HE_UPPER, E_ACUTE, MASK, -1}},
        {"{\"do_lower_case\":false}", {HE_UPPER, E_ACUTE, MASK, -1}},
        {"{\"strip_accents\":false}", {HE, E_ACUTE, MASK, -1}},
        {"{\"do_lower_case\":false,\"strip_accents\":true}", {HE_UPPER, UNK, MASK, -1}},
        {"{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"do_lower_case\":false}", {HE, UNK, MASK, -1}},
        {"{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"strip_accents\":false}", {HE, UNK, MASK, -1}},
        {"{\"added_tokens_decoder\":{\"4\":{\"content\":\"he\",\"special\":true}}}", {HE, UNK, MASK, -1}},
        {"{\"unk_token\":\"a\"}", {HE, A, MASK, -1}},
        {"{\"unk_token\":{\"content\":\"a\"}}", {HE, A, MASK, -1}},
    };
    write_file("tokenizer.json", USUAL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file("tokenizer_config.json", cases[i].config);
        sv_tokenizer *t;
        senvec_error err;
        if (sv_tokenizer_load(directory, NULL, &t, &err) != SENVEC_OK)
            fail_msg("%s: %s", cases[i].config, err.message);
        uint32_t ids[8];
        sv_tokens tokens = sv_tokenizer_encode(t, "HE \xc3\xa9 [MASK]", 12, SENVEC_TRUNCATION_AUTO, ids, 8);
        for (size_t j = 0; cases[i].ids[j] >= 0; j++)
            if (j + 1 >= tokens.count || ids[j + 1] != (uint32_t)cases[i].ids[j])
                fail_msg("%s: id %zu is not %d", cases[i].config, j, cases[i].ids[j]);
        assert_true(sv_tokenizer_takes_pairs(t) == !strstr(cases[i].config, "PreTrained"));
        sv_tokenizer_free(t);
    }
    remove_file("tokenizer_config.json");
}

static void special_tokens_may_be_text(void **state) {
    (void)state;
    write_file("tokenizer_config.json", "{\"split_special_tokens\":true}");
    sv_tokenizer *t = load(USUAL);
    EXPECT(t, "[MASK]a", BRACKET, UNK, UNK, A, -1);
    sv_tokenizer_free(t);
    remove_file("tokenizer_config.json");
}

static void truncation_on_the_left(void **state) {
    (void)state;
    static const char *const configs[] = {"{\"truncation_side\":\"left\"}",
                                          "{\"tokenizer_class\":\"TokenizersBackend\",\"truncation_side\":\"left\"}"};
    for (size_t i = 0; i < 2; i++) {
        write_file("tokenizer_config.json", configs[i]);
        sv_tokenizer *t = load(FILE_OF(ADDED_TOKENS, UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY), PAIR_TEMPLATE));
        uint32_t ids[8];
        sv_tokens tokens = sv_tokenizer_encode(t, "hello, world", 12, SENVEC_TRUNCATION_AUTO, ids, 5);
        assert_int_equal(tokens.count, 5);
        assert_true(tokens.truncated);
        const uint32_t wanted[] = {CLS, LLO, COMMA, WORLD, SEP};
        assert_memory_equal(ids, wanted, sizeof wanted);
        tokens = sv_tokenizer_encode(t, "hello, world", 12, SENVEC_TRUNCATION_AUTO, ids, 6);
        assert_false(tokens.truncated);
        expect_pair(t, "a , a , he", "he a", 7, true, CLS, COMMA, HE, SEP, HE, A, SEP, -1);
        sv_tokenizer_free(t);
        remove_file("tokenizer_config.json");
    }
    /* tokenizer.json says it too, and its length is still ignored. */
    sv_tokenizer *t = load("{\"truncation\":{\"max_length\":3,\"direction\":\"Left\"},\"added_tokens\":[" ADDED_TOKENS
                           "],\"normalizer\":" UNCASED ",\"pre_tokenizer\":" PRE_TOKENIZER ",\"post_processor\":" TEMPLATE
                           ",\"model\":" MODEL(VOCABULARY) "}");
    uint32_t ids[4];
    sv_tokenizer_encode(t, "a he world", 10, SENVEC_TRUNCATION_AUTO, ids, 4);
    assert_int_equal(ids[1], HE);
    assert_int_equal(ids[2], WORLD);
    sv_tokenizer_free(t);
}

/* Whatever side the tokenizer's files name, that of the call rules. */
static void truncation_on_the_side_of_the_call(void **state) {
    (void)state;
    static const char *const configs[] = {"{\"truncation_side\":\"left\"}", "{\"truncation_side\":\"right\"}"};
    static const uint32_t beginning[] = {CLS, HE, LLO, COMMA, SEP}, end[] = {CLS, LLO, COMMA, WORLD, SEP};
    for (size_t i = 0; i < 2; i++) {
        write_file("tokenizer_config.json", configs[i]);
        sv_tokenizer *t = load(FILE_OF(ADDED_TOKENS, UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY), PAIR_TEMPLATE));
        uint32_t ids[8];
        assert_true(sv_tokenizer_encode(t, "hello, world", 12, SENVEC_TRUNCATION_RIGHT, ids, 5).truncated);
        assert_memory_equal(ids, beginning, sizeof beginning);
        assert_true(sv_tokenizer_encode(t, "hello, world", 12, SENVEC_TRUNCATION_LEFT, ids, 5).truncated);
        assert_memory_equal(ids, end, sizeof end);
        assert_false(sv_tokenizer_encode(t, "hello, world", 12, SENVEC_TRUNCATION_LEFT, ids, 6).truncated);
        assert_int_equal(sv_tokenizer_encode(t, "hello", 5, SENVEC_TRUNCATION_LEFT, ids, 2).count, 2);
        side = SENVEC_TRUNCATION_RIGHT;
        expect_pair(t, "a , a , he", "he a", 7, true, CLS, A, COMMA, SEP, HE, A, SEP, -1);
        side = SENVEC_TRUNCATION_LEFT;
        expect_pair(t, "a , a , he", "he a", 7, true, CLS, COMMA, HE, SEP, HE, A, SEP, -1);
        expect_pair(t, "a , a", "he a he", 6, true, CLS, A, SEP, A, HE, SEP, -1);
        side = SENVEC_TRUNCATION_AUTO;
        sv_tokenizer_free(t);
        remove_file("tokenizer_config.json");
    }
}

static void bad_configurations(void **state) {
    (void)state;
    write_file("tokenizer.json", USUAL);
    static const struct {
        const char *json;
        senvec_status status;
        const char *part;
    } configs[] = {
        {"[", SENVEC_FORMAT, "not valid JSON"},
        {"[]", SENVEC_FORMAT, "not a JSON object"},
        {"{\"truncation_side\":\"middle\"}", SENVEC_FORMAT, "truncation_side \"middle\""},
        {"{\"truncation_side\":1}", SENVEC_FORMAT, "truncation_side"},
        {"{\"do_lower_case\":\"no\"}", SENVEC_FORMAT, "do_lower_case"},
        {"{\"strip_accents\":1}", SENVEC_FORMAT, "strip_accents"},
        {"{\"split_special_tokens\":1}", SENVEC_FORMAT, "split_special_tokens"},
        {"{\"tokenizer_class\":\"BertJapaneseTokenizer\"}", SENVEC_UNSUPPORTED, "BertJapaneseTokenizer"},
        {"{\"cls_token\":\"<s>\"}", SENVEC_FORMAT, "the cls_token \"<s>\" is not in it"},
        {"{\"cls_token\":7}", SENVEC_FORMAT, "cls_token"},
        {"{\"added_tokens_decoder\":[]}", SENVEC_FORMAT, "added_tokens_decoder"},
        {"{\"added_tokens_decoder\":{\"x\":{}}}", SENVEC_FORMAT, "\"x\" is not a token id"},
        {"{\"added_tokens_decoder\":{\"40\":{\"content\":\"he\",\"special\":true}}}", SENVEC_FORMAT, "has id 40"},
    };
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        write_file("tokenizer_config.json", configs[i].json);
        refused(configs[i].status, configs[i].part);
    }
    write_file("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 466247\n");
    remove_file("tokenizer_config.json");
    refused(SENVEC_FORMAT, "a Git LFS pointer");
    remove_file("tokenizer_config.json");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_cut_longest_first),
        cmocka_unit_test(whole_texts_and_texts_of_tokens),
        cmocka_unit_test(configurations),
        cmocka_unit_test(special_tokens_may_be_text),
        cmocka_unit_test(truncation_on_the_left),
        cmocka_unit_test(truncation_on_the_side_of_the_call),
        cmocka_unit_test(bad_configurations),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
