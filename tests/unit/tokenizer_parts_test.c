/* Parts of a tokenizer.json that must be refused, each with the error that names it. What the parts do is compared with the
 * reference in tests/golden/tokenizers_test.c. */
#include "tiny_tokenizer.h"

#define SPECIALS "\"added_tokens\":[]"
#define POST "\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"b\",1],\"cls\":[\"a\",0]}"
#define UNIGRAM(unknown, vocabulary) "\"model\":{\"type\":\"Unigram\",\"unk_id\":" unknown ",\"vocab\":[" vocabulary "]}"
#define PIECES "[\"a\",-1],[\"b\",-2]"
#define BPE(vocabulary, merges, options)                                                                                       \
    "\"model\":{\"type\":\"BPE\"," options "\"vocab\":{" vocabulary "},\"merges\":[" merges "]}"
#define TOKENS "\"a\":0,\"b\":1,\"ab\":2"
#define PARTS(normalizer, pre_tokenizer)                                                                                       \
    "{" SPECIALS ",\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre_tokenizer "," POST "," UNIGRAM("0", PIECES) "}"
#define NORMALIZER_OF(text) PARTS("{" text "}", "null")
#define PRE_TOKENIZER_OF(text) PARTS("null", "{" text "}")
#define MODEL_OF(text) "{" SPECIALS "," POST "," text "}"
#define POST_OF(text) "{" SPECIALS "," UNIGRAM("0", PIECES) ",\"post_processor\":" text "}"

typedef struct bad {
    const char *json;
    senvec_status status;
    const char *part;
} bad;

static void refuse_all(const bad *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        write_file("tokenizer.json", cases[i].json);
        refused(cases[i].status, cases[i].part);
    }
}
#define REFUSE(cases) refuse_all(cases, sizeof cases / sizeof cases[0])

static void models(void **state) {
    (void)state;
    static const bad cases[] = {
        {MODEL_OF("\"model\":{\"type\":\"Unigram\"}"), SENVEC_FORMAT, "\"vocab\""},
        {MODEL_OF(UNIGRAM("null", PIECES)), SENVEC_UNSUPPORTED, "without unk_id"},
        {MODEL_OF(UNIGRAM("2", PIECES)), SENVEC_FORMAT, "unk_id"},
        {MODEL_OF(UNIGRAM("-1", PIECES)), SENVEC_FORMAT, "unk_id"},
        {MODEL_OF(UNIGRAM("0", "")), SENVEC_FORMAT, "unk_id"},
        {MODEL_OF(UNIGRAM("0", PIECES ",[\"c\",null]")), SENVEC_FORMAT, "piece 2"},
        {MODEL_OF(UNIGRAM("0", PIECES ",[\"c\",\"NaN\"]")), SENVEC_FORMAT, "piece 2"},
        {MODEL_OF(UNIGRAM("0", PIECES ",[\"c\",NaN]")), SENVEC_FORMAT, "not valid JSON"},
        {MODEL_OF(UNIGRAM("0", PIECES ",[\"c\",1e999]")), SENVEC_FORMAT, "piece 2 is not a string and its score"},
        {MODEL_OF(UNIGRAM("0", PIECES ",[\"c\"]")), SENVEC_FORMAT, "piece 2"},
        {MODEL_OF(UNIGRAM("0", PIECES ",[\"c\",1,2]")), SENVEC_FORMAT, "piece 2"},
        {MODEL_OF(UNIGRAM("0", PIECES ",\"c\"")), SENVEC_FORMAT, "piece 2"},
        {MODEL_OF(BPE(TOKENS, "", "\"dropout\":0.1,")), SENVEC_UNSUPPORTED, "dropout"},
        {MODEL_OF(BPE(TOKENS, "", "\"end_of_word_suffix\":\"</w>\",")), SENVEC_UNSUPPORTED, "end_of_word_suffix"},
        {MODEL_OF(BPE(TOKENS, "", "\"continuing_subword_prefix\":\"##\",")), SENVEC_UNSUPPORTED, "continuing_subword_prefix"},
        {MODEL_OF(BPE(TOKENS, "", "\"unk_token\":\"<unk>\",")), SENVEC_FORMAT, "unk_token \"<unk>\""},
        {MODEL_OF(BPE(TOKENS, "", "\"byte_fallback\":1,")), SENVEC_FORMAT, "byte_fallback"},
        {MODEL_OF(BPE(TOKENS, "\"a b\",\"a c\"", "")), SENVEC_FORMAT, "merge 1: token \"c\""},
        {MODEL_OF(BPE(TOKENS, "\"b a\"", "")), SENVEC_FORMAT, "merge 0: its result \"ba\""},
        {MODEL_OF(BPE(TOKENS, "\"ab\"", "")), SENVEC_FORMAT, "merge 0 is not two tokens"},
        {MODEL_OF(BPE(TOKENS, "\"a b a\"", "")), SENVEC_FORMAT, "merge 0 is not two tokens"},
        {MODEL_OF(BPE(TOKENS, "[\"a\"]", "")), SENVEC_FORMAT, "merge 0 is not two tokens"},
        {MODEL_OF(BPE(TOKENS, "[\"a\",1]", "")), SENVEC_FORMAT, "merge 0 is not two tokens"},
        {MODEL_OF("\"model\":{\"type\":\"BPE\",\"vocab\":{" TOKENS "}}"), SENVEC_FORMAT, "\"merges\""},
        {MODEL_OF(BPE("\"a\":-1", "", "")), SENVEC_FORMAT, "the id of token \"a\""},
        {MODEL_OF(BPE("\"a\":0,\"b\":4194304", "", "")), SENVEC_FORMAT, "the id of token \"b\""},
        {MODEL_OF(BPE("\"a\":0", "", "")), SENVEC_FORMAT, "id 1 is beyond the vocabulary of 1"},
    };
    REFUSE(cases);
    /* Ids may have holes, and a piece may be there twice: the last one counts. */
    sv_tokenizer *t = load(MODEL_OF(BPE("\"a\":0,\"b\":9", "", "")));
    uint32_t ids[8];
    size_t length;
    assert_int_equal(sv_tokenizer_encode(t, "ba", 2, SENVEC_TRUNCATION_AUTO, ids, 8).count, 4);
    assert_int_equal(ids[1], 9);
    assert_null(sv_tokenizer_token(t, 5, &length));
    sv_tokenizer_free(t);
    t = load(MODEL_OF(UNIGRAM("0", PIECES ",[\"b\",-3]")));
    assert_int_equal(sv_tokenizer_encode(t, "b", 1, SENVEC_TRUNCATION_AUTO, ids, 8).count, 3);
    assert_int_equal(ids[1], 2);
    sv_tokenizer_free(t);
}

static void normalizers_and_pre_tokenizers(void **state) {
    (void)state;
    static const bad cases[] = {
        {NORMALIZER_OF("\"type\":\"ByteLevel\""), SENVEC_UNSUPPORTED, "normalizer \"ByteLevel\""},
        {NORMALIZER_OF("\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Odd\"}]"), SENVEC_UNSUPPORTED, "normalizer \"Odd\""},
        {NORMALIZER_OF("\"type\":\"Sequence\",\"normalizers\":[1]"), SENVEC_FORMAT, "\"type\""},
        {NORMALIZER_OF("\"type\":\"Strip\""), SENVEC_FORMAT, "strip_left"},
        {NORMALIZER_OF("\"type\":\"Prepend\""), SENVEC_FORMAT, "prepend"},
        {NORMALIZER_OF("\"type\":\"Replace\",\"content\":\"\""), SENVEC_FORMAT, "pattern"},
        {NORMALIZER_OF("\"type\":\"Replace\",\"content\":\"\",\"pattern\":{\"Regex\":\"a+\"}"), SENVEC_UNSUPPORTED,
         "regular expression \"a+\""},
        {NORMALIZER_OF("\"type\":\"Precompiled\""), SENVEC_FORMAT, "precompiled_charsmap"},
        {NORMALIZER_OF("\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\""), SENVEC_FORMAT, "ends inside of its table"},
        {NORMALIZER_OF("\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!!!!\""), SENVEC_FORMAT, "not base64"},
        {NORMALIZER_OF("\"type\":\"Precompiled\",\"precompiled_charsmap\":\"ABAAAAA=\""), SENVEC_FORMAT,
         "ends inside of its table"},
        /* A table of one unit, then texts: none; without an end; not UTF-8. */
        {NORMALIZER_OF("\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAAAAA=\""), SENVEC_FORMAT,
         "inside of its texts"},
        {NORMALIZER_OF("\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAAAABh\""), SENVEC_FORMAT,
         "inside of its texts"},
        {NORMALIZER_OF("\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAAAAD/AA==\""), SENVEC_FORMAT,
         "aren't UTF-8"},
        {PRE_TOKENIZER_OF("\"type\":\"UnicodeScripts\""), SENVEC_UNSUPPORTED, "pre_tokenizer \"UnicodeScripts\""},
        {PRE_TOKENIZER_OF("\"type\":\"Sequence\""), SENVEC_FORMAT, "pretokenizers"},
        {PRE_TOKENIZER_OF("\"type\":\"Digits\""), SENVEC_FORMAT, "individual_digits"},
        {PRE_TOKENIZER_OF("\"type\":\"Punctuation\",\"behavior\":\"Odd\""), SENVEC_UNSUPPORTED, "behavior \"Odd\""},
        {PRE_TOKENIZER_OF("\"type\":\"Split\",\"pattern\":{\"Regex\":\"x*\"},\"behavior\":\"Isolated\",\"invert\":false"),
         SENVEC_UNSUPPORTED, "regular expression \"x*\""},
        {PRE_TOKENIZER_OF("\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\",\"invert\":false"),
         SENVEC_UNSUPPORTED, "an empty"},
        {PRE_TOKENIZER_OF("\"type\":\"Metaspace\""), SENVEC_FORMAT, "replacement"},
        {PRE_TOKENIZER_OF("\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"odd\""), SENVEC_UNSUPPORTED,
         "prepend_scheme \"odd\""},
        {PRE_TOKENIZER_OF("\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false"), SENVEC_FORMAT,
         "contradicts"},
        {PRE_TOKENIZER_OF("\"type\":\"ByteLevel\",\"add_prefix_space\":false"), SENVEC_UNSUPPORTED, "ByteLevel with model"},
        {PRE_TOKENIZER_OF("\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
                          "{\"type\":\"WhitespaceSplit\"}]"),
         SENVEC_UNSUPPORTED, "only supported as the last one"},
    };
    REFUSE(cases);
}

static void templates(void **state) {
    (void)state;
#define TEMPLATE_OF(single) "{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"special_tokens\":{}}"
#define TEXT_A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
    static const bad cases[] = {
        {POST_OF("{\"type\":\"Odd\"}"), SENVEC_UNSUPPORTED, "post_processor \"Odd\""},
        {POST_OF("{\"type\":\"ByteLevel\"}"), SENVEC_UNSUPPORTED, "no template"},
        {POST_OF("{\"type\":\"Sequence\"}"), SENVEC_FORMAT, "processors"},
        {POST_OF("{\"type\":\"Sequence\",\"processors\":[" TEMPLATE_OF(TEXT_A) "," TEMPLATE_OF(TEXT_A) "]}"),
         SENVEC_UNSUPPORTED, "two templates"},
        {POST_OF(TEMPLATE_OF(TEXT_A "," TEXT_A)), SENVEC_UNSUPPORTED, "each text once"},
        {POST_OF(TEMPLATE_OF("{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}")), SENVEC_UNSUPPORTED, "each text once"},
        {POST_OF(TEMPLATE_OF("{\"SpecialToken\":{\"id\":\"[X]\",\"type_id\":0}}," TEXT_A)), SENVEC_FORMAT,
         "special token \"[X]\" is not one id"},
        {POST_OF(TEMPLATE_OF("{\"Sequence\":{\"id\":\"A\"}}")), SENVEC_FORMAT, "type_id"},
    };
    REFUSE(cases);
}

/* Classes of transformers that are for another model, and added tokens that can't be told apart. */
static void classes_and_added_tokens(void **state) {
    (void)state;
    write_file("tokenizer.json", MODEL_OF(UNIGRAM("0", PIECES)));
    static const char *const configs[][2] = {
        {"{\"tokenizer_class\":\"BertTokenizer\"}", "is for WordPiece"},
        {"{\"tokenizer_class\":\"RobertaTokenizerFast\"}", "is for BPE"},
    };
    for (size_t i = 0; i < 2; i++) {
        write_file("tokenizer_config.json", configs[i][0]);
        refused(SENVEC_UNSUPPORTED, configs[i][1]);
    }
    write_file("tokenizer_config.json", "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}");
    refused(SENVEC_FORMAT, "no unknown one");
    write_file("tokenizer.json", MODEL_OF(BPE(TOKENS, "", "")));
    refused(SENVEC_UNSUPPORTED, "is for Unigram");
    remove_file("tokenizer_config.json");
#define NORMALIZED "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true"
    static const bad cases[] = {
        {FILE_OF(ADDED(17, "Covid", NORMALIZED) "," ADDED(18, "covid", NORMALIZED), UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY),
                 TEMPLATE),
         SENVEC_UNSUPPORTED, "two added tokens become \"covid\""},
        {FILE_OF(ADDED(17, "\xcc\x81", NORMALIZED), UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY), TEMPLATE), SENVEC_UNSUPPORTED,
         "nothing is left"},
    };
    REFUSE(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models),
        cmocka_unit_test(normalizers_and_pre_tokenizers),
        cmocka_unit_test(templates),
        cmocka_unit_test(classes_and_added_tokens),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
