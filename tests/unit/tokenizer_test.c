/* The tokenizer on a tiny vocabulary: each rule in turn, files that must be refused, and texts at the edges. That the rules are
 * those of the reference is what tests/parity shows. */
#include <sys/mman.h>

#include "common/utf8.h"
#include "text/charclass.h"
#include "tiny_tokenizer.h"

static void words_pieces_and_punctuation(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    EXPECT(t, "", -1);
    expect(t, NULL, 0, -1);
    EXPECT(t, " \t\r\n\xe3\x80\x80", -1);
    EXPECT(t, "hello, world", HE, LLO, COMMA, WORLD, -1);
    EXPECT(t, "HELLO,WORLD", HE, LLO, COMMA, WORLD, -1);
    EXPECT(t, "aaa a", A, REST_A, REST_A, A, -1);
    EXPECT(t, "hellox world", UNK, WORLD, -1); /* the whole word, not the rest of it */
    EXPECT(t, "##a", UNK, UNK, A, -1);         /* the prefix is no way into the vocabulary */
    EXPECT(t, "a$a\xe2\x80\x94", A, UNK, A, UNK, -1);
    assert_int_equal(sv_tokenizer_vocabulary(t), 17);
    assert_true(sv_tokenizer_memory(t) > 0);
    sv_tokenizer_free(t);
}

static void a_long_word_is_unknown(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    char text[512];
    uint32_t ids[300];
    memset(text, 'a', sizeof text);
    assert_int_equal(sv_tokenizer_encode(t, text, 100, SENVEC_TRUNCATION_AUTO, ids, 300).count, 102);
    expect(t, text, 101, UNK, -1);
    text[200] = ' ';
    expect(t, text, 203, UNK, A, REST_A, -1);
    /* 100 is counted in code points, after normalisation: 99 letters and e with an acute, then one more. */
    memcpy(text + 99, "\xc3\xa9", 2);
    text[101] = ' ';
    expect(t, text, 103, UNK, A, -1);
    for (size_t i = 0; i < 200; i += 2)
        memcpy(text + i, "\xcc\x81", 2);
    text[200] = 'a';
    expect(t, text, 201, A, -1); /* marks that are stripped don't count */
    sv_tokenizer_free(t);
}

static void normalisation(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    EXPECT(t, "caf\xc3\xa9 cafe\xcc\x81 CAF\xc3\x89", CAFE, CAFE, CAFE, -1); /* accents, composed or not */
    EXPECT(t,
           "h\xe2\x80\x8b"
           "e\xc2\xad l",
           HE, UNK, -1); /* Cf is removed and joins */
    EXPECT(t,
           "h\xef\xbf\xbd\x01\x7f\x0b\x0c\xc2\x85"
           "e",
           HE, -1);            /* U+FFFD, controls, and NEL */
    EXPECT(t, "h\0e", HE, -1); /* NUL */
    EXPECT(t,
           "a\xe4\xb8\xad"
           "a",
           A, CJK, A, -1); /* ideographs stand alone */
    EXPECT(t, "\xce\xa3 \xcf\x83", SIGMA, SIGMA, -1);
    EXPECT(t, "a\xce\xa3", UNK, -1);                     /* no final sigma */
    EXPECT(t, "\xe2\x84\xaa\xe2\x89\xa0", UNK, UNK, -1); /* Kelvin sign -> k; not equal -> "=" */
    sv_tokenizer_free(t);
}

/* U+1D16D has class 226, U+302E 224: both survive, the greater comes last. */
static void marks_are_ordered(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    EXPECT(t, "x\xe3\x80\xae\xf0\x9d\x85\xad", VIRAMA_PAIR, -1);
    EXPECT(t, "x\xf0\x9d\x85\xad\xe3\x80\xae", VIRAMA_PAIR, -1);
    EXPECT(t, "x\xf0\x9d\x85\xad\xcc\x81\xe3\x80\xae", VIRAMA_PAIR, -1); /* a stripped mark of class 230 is in the run */
    EXPECT(t, "x\xf0\x9d\x85\xad\xcd\x8f\xe3\x80\xae", UNK, -1);         /* one of class 0 (U+034F) ends it */
    sv_tokenizer_free(t);
}

static void added_tokens_in_the_text(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    EXPECT(t, "he[MASK]llo [SEP]", HE, MASK, UNK, SEP, -1);
    EXPECT(t, "[[MASK]a", BRACKET, MASK, A, -1);
    EXPECT(t, "[mask]", BRACKET, UNK, UNK, -1);
    EXPECT(t, "[MASK", BRACKET, UNK, -1);
    sv_tokenizer_free(t);
    /* The longest of several; one beyond the vocabulary; white space beside it has no ids anyway. */
    t = load(FILE_OF(ADDED(3, "[MASK]", "\"single_word\":false,\"lstrip\":true,\"rstrip\":true,\"normalized\":false") "," ADDED(
                         17, "[MASK]a", PLAIN) "," ADDED(7, "a", PLAIN),
                     UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY), TEMPLATE));
    EXPECT(t, "x [MASK] he[MASK]ahe", UNK, MASK, HE, 17, HE, -1);
    EXPECT(t, "heahe", HE, A, HE, -1);
    assert_int_equal(sv_tokenizer_vocabulary(t), 18);
    sv_tokenizer_free(t);
}

static void options(void **state) {
    (void)state;
    sv_tokenizer *t =
        load(FILE_OF(ADDED_TOKENS, NORMALIZER(true, true, null, false), PRE_TOKENIZER, MODEL(VOCABULARY), TEMPLATE));
    EXPECT(t, "HE he \xc3\xa9", HE_UPPER, HE, E_ACUTE, -1);
    sv_tokenizer_free(t);
    t = load(FILE_OF(ADDED_TOKENS, NORMALIZER(true, false, false, true), PRE_TOKENIZER, MODEL(VOCABULARY), TEMPLATE));
    EXPECT(t, "HE \xc3\x89 a\xe4\xb8\xad", HE, E_ACUTE, UNK, -1);
    sv_tokenizer_free(t);
    t = load(FILE_OF(ADDED_TOKENS, NORMALIZER(false, true, true, false), PRE_TOKENIZER, MODEL(VOCABULARY), TEMPLATE));
    EXPECT(t,
           "he\x0bhe h\x01"
           "e caf\xc3\xa9",
           HE, HE, UNK, CAFE, -1);
    sv_tokenizer_free(t);
    t = load(FILE_OF(ADDED_TOKENS, UNCASED, PRE_TOKENIZER, MODEL(VOCABULARY),
                     "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]}"));
    EXPECT(t, "he", HE, -1);
    sv_tokenizer_free(t);
}

static void truncation(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    static const struct {
        const char *text;
        size_t max_ids, count;
        bool truncated;
    } cases[] = {
        {"", 2, 2, false},
        {" ", 2, 2, false},
        {"a", 2, 2, true},
        {"[SEP]", 2, 2, true},
        {"a", 3, 3, false},
        {"a ", 3, 3, false},
        {"a \xcc\x81\x01", 3, 3, false},
        {"aa", 3, 3, true},
        {"a a", 3, 3, true},
        {"a,", 3, 3, true},
        {"a[SEP]", 3, 3, true},
        {"hello hello", 4, 4, true},
        {"hello hello", 5, 5, true},
        {"hello hello", 6, 6, false},
        {"hellox a", 3, 3, true},
        {"hellox", 3, 3, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t ids[8] = {99, 99, 99, 99, 99, 99, 99, 99};
        sv_tokens tokens =
            sv_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), SENVEC_TRUNCATION_AUTO, ids, cases[i].max_ids);
        if (tokens.count != cases[i].count || tokens.truncated != cases[i].truncated || ids[0] != CLS ||
            ids[tokens.count - 1] != SEP || ids[cases[i].max_ids] != 99)
            fail_msg("\"%s\" cut to %zu", cases[i].text, cases[i].max_ids);
    }
    sv_tokenizer_free(t);
}

static void invalid_utf8(void **state) {
    (void)state;
    /* The bytes that each U+FFFD stands for. */
    static const struct {
        const char *bytes;
        size_t length, first;
    } cases[] = {
        {"\x80\x80", 2, 1},     {"\xc0\x80", 2, 1},         {"\xc2", 1, 1},
        {"\xc2\x41", 2, 1},     {"\xe0\x80\x80", 3, 1},     {"\xe4\xb8", 2, 2},
        {"\xe4\xb8\x41", 3, 2}, {"\xed\xa0\x80", 3, 1},     {"\xf0\x8f\x80", 3, 1},
        {"\xf0\x9f\x98", 3, 3}, {"\xf0\x9f\x98\xc0", 4, 3}, {"\xf4\x90\x80", 3, 1},
        {"\xf5\x80", 2, 1},     {"\xff\xff", 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        uint32_t c;
        bool invalid = false;
        assert_int_equal(sv_utf8_decode(bytes, bytes + cases[i].length, &c, &invalid), cases[i].first);
        assert_int_equal(c, SV_REPLACEMENT);
        assert_true(invalid);
    }
    sv_tokenizer *t = load(USUAL);
    uint32_t ids[8];
    assert_true(sv_tokenizer_encode(t, "h\xff\x80\x65", 4, SENVEC_TRUNCATION_AUTO, ids, 8).invalid_utf8);
    assert_int_equal(ids[1], HE); /* clean_text removes U+FFFD */
    assert_false(sv_tokenizer_encode(t, "h\xef\xbf\xbd\x65", 5, SENVEC_TRUNCATION_AUTO, ids, 8).invalid_utf8);
    assert_false(sv_tokenizer_encode(t, "a a \xff", 5, SENVEC_TRUNCATION_AUTO, ids, 3).invalid_utf8); /* beyond the cut */
    sv_tokenizer_free(t);
}

static void utf8_round_trip(void **state) {
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        uint8_t bytes[SV_MAX_UTF8];
        uint32_t back;
        bool invalid = false;
        size_t length = sv_utf8_encode(c, bytes);
        if (sv_utf8_decode(bytes, bytes + length, &back, &invalid) != length || back != c || invalid)
            fail_msg("U+%04X", c);
    }
}

/* What the encoder takes for granted: whatever lower case makes is part of a word and orders nothing. */
static void lower_case_gives_word_characters(void **state) {
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        uint32_t lower[SV_MAX_LOWER];
        size_t count = sv_char_lower(c, lower);
        if (lower[0] != c && (sv_char_classify(lower[0]) != SV_CHAR_WORD || sv_char_combining_class(c) != 0))
            fail_msg("U+%04X", c);
        assert_int_equal(count, c == 0x130 ? 2 : 1);
    }
    assert_int_equal(sv_char_classify(0x1c89), SV_CHAR_WORD);
    uint32_t lower[SV_MAX_LOWER];
    sv_char_lower(0x16ea0, lower); /* Unicode 17 */
    assert_int_equal(lower[0], 0x16ebb);
}

/* Nothing behind the text is read, and a long line costs what is kept of it. */
static void text_at_the_end_of_memory(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory + page, page, PROT_NONE), 0);
    static const char *const texts[] = {"",
                                        "a",
                                        "hello",
                                        "[MASK",
                                        "[SEP]",
                                        ",",
                                        "\xe4\xb8\xad",
                                        "\xe4\xb8",
                                        "\xf0\x9f\x98",
                                        "\xc3",
                                        "a ",
                                        "x\xe3\x80\xae\xf0\x9d\x85\xad"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint32_t ids[16];
        size_t length = strlen(texts[i]);
        memcpy(memory + page - length, texts[i], length);
        sv_tokenizer_encode(t, memory + page - length, length, SENVEC_TRUNCATION_AUTO, ids, 16);
    }
    munmap(memory, 2 * page);
    sv_tokenizer_free(t);
}

static void ten_megabytes(void **state) {
    (void)state;
    sv_tokenizer *t = load(USUAL);
    size_t size = 10u << 20;
    /* Behind the first page that is needed nothing may be touched. */
    char *text = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(text, MAP_FAILED);
    assert_int_equal(mprotect(text, 4096, PROT_READ | PROT_WRITE), 0);
    memset(text, 'a', 4096);
    for (size_t i = 5; i < 4096; i += 6)
        text[i] = ' ';
    uint32_t ids[256];
    sv_tokens tokens = sv_tokenizer_encode(t, text, size, SENVEC_TRUNCATION_AUTO, ids, 256);
    assert_int_equal(tokens.count, 256);
    assert_true(tokens.truncated);
    /* One word, and nothing at all: read to the end, no more than two ids. */
    assert_int_equal(mprotect(text, size, PROT_READ | PROT_WRITE), 0);
    memset(text, 'a', size);
    tokens = sv_tokenizer_encode(t, text, size, SENVEC_TRUNCATION_AUTO, ids, 256);
    assert_int_equal(tokens.count, 3);
    assert_int_equal(ids[1], UNK);
    assert_false(tokens.truncated);
    memset(text, 0, size);
    assert_int_equal(sv_tokenizer_encode(t, text, size, SENVEC_TRUNCATION_AUTO, ids, 256).count, 2);
    munmap(text, size);
    sv_tokenizer_free(t);
}

static void from_vocab_txt(void **state) {
    (void)state;
    remove_file("tokenizer.json");
    write_file("vocab.txt", "[PAD]\n[CLS]\n[SEP]\n[UNK]\r\nhe\n##llo\n\xc3\xa9\ne");
    sv_tokenizer *t;
    senvec_error err;
    assert_int_equal(sv_tokenizer_load(directory, NULL, &t, &err), SENVEC_OK);
    EXPECT(t, "Hello \xc3\xa9 x[SEP]", 4, 5, 7, 3, 2, -1);
    assert_int_equal(sv_tokenizer_vocabulary(t), 8);
    sv_tokenizer_free(t);
    write_file("tokenizer_config.json",
               "{\"do_lower_case\":false,\"strip_accents\":null,\"tokenizer_class\":\"BertTokenizer\","
               "\"model_max_length\":1000000000000000019884624838656,\"unk_token\":{\"content\":\"[PAD]\"}}");
    assert_int_equal(sv_tokenizer_load(directory, NULL, &t, &err), SENVEC_OK);
    EXPECT(t, "Hello \xc3\xa9", 0, 6, -1);
    sv_tokenizer_free(t);
    remove_file("vocab.txt");
    remove_file("tokenizer_config.json");
}

static void bad_files(void **state) {
    (void)state;
    remove_file("tokenizer.json");
    refused(SENVEC_NOT_FOUND, "no tokenizer.json and no vocab.txt");
#define M MODEL(VOCABULARY)
    static const struct {
        const char *json;
        senvec_status status;
        const char *part;
    } cases[] = {
        {"", SENVEC_FORMAT, "the file is empty"},
        {"{\"version\":", SENVEC_FORMAT, "not valid JSON: line 1"},
        {"{\"version\":\"\xff\"}", SENVEC_FORMAT, "not valid JSON"},
        {"[]", SENVEC_FORMAT, "not a JSON object"},
        {"{}", SENVEC_UNSUPPORTED, "no model"},
        {"{\"version\":\"2.0\"}", SENVEC_UNSUPPORTED, "version"},
        {"{\"model\":{\"type\":\"WordLevel\"}}", SENVEC_UNSUPPORTED, "model \"WordLevel\""},
        {"{\"model\":{\"type\":\"WordPiece\"}}", SENVEC_FORMAT, "continuing_subword_prefix"},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, "{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\"}", TEMPLATE),
         SENVEC_FORMAT, "max_input_chars_per_word"},
        {FILE_OF("", UNCASED, PRE_TOKENIZER,
                 "{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":1025}", TEMPLATE),
         SENVEC_TOO_LARGE, "max_input_chars_per_word is 1025"},
        {FILE_OF("", UNCASED, PRE_TOKENIZER,
                 "{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":9,\"vocab\":[]}",
                 TEMPLATE),
         SENVEC_FORMAT, "\"vocab\" is missing or not an object"},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, MODEL("\"a\":-1"), TEMPLATE), SENVEC_FORMAT, "the id of token \"a\""},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, MODEL("\"a\":4194304"), TEMPLATE), SENVEC_FORMAT, "the id of token \"a\""},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, MODEL("\"a\":1.5"), TEMPLATE), SENVEC_FORMAT, "the id of token \"a\""},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, MODEL("\"a\":0"), TEMPLATE), SENVEC_FORMAT, "unk_token \"[UNK]\""},
        {FILE_OF("", "{\"type\":\"Sequence\"}", PRE_TOKENIZER, M, TEMPLATE), SENVEC_FORMAT, "\"normalizers\""},
        {FILE_OF("", "{\"type\":\"BertNormalizer\"}", PRE_TOKENIZER, M, TEMPLATE), SENVEC_FORMAT, "\"clean_text\""},
        {FILE_OF("", NORMALIZER(true, true, 3, true), PRE_TOKENIZER, M, TEMPLATE), SENVEC_FORMAT, "\"strip_accents\""},
        {FILE_OF("", UNCASED, "{\"type\":\"UnicodeScripts\"}", M, TEMPLATE), SENVEC_UNSUPPORTED,
         "pre_tokenizer \"UnicodeScripts\""},
        {FILE_OF("", UNCASED, "{}", M, TEMPLATE), SENVEC_FORMAT, "pre_tokenizer: \"type\""},
        {FILE_OF("{}", UNCASED, PRE_TOKENIZER, M, TEMPLATE), SENVEC_FORMAT, "\"content\""},
        {FILE_OF(ADDED(7, "[MASK]", PLAIN), UNCASED, PRE_TOKENIZER, M, TEMPLATE), SENVEC_FORMAT, "has id 7"},
        {FILE_OF(ADDED(19, "[NEW]", PLAIN), UNCASED, PRE_TOKENIZER, M, TEMPLATE), SENVEC_FORMAT, "has id 19"},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, M, "null"), SENVEC_UNSUPPORTED, "no post_processor"},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, M, "{\"type\":\"RobertaProcessing\"}"), SENVEC_FORMAT, "\"cls\""},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, M, "{\"type\":\"TemplateProcessing\"}"), SENVEC_FORMAT, "\"single\""},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, M, "{\"type\":\"TemplateProcessing\",\"single\":[]}"), SENVEC_UNSUPPORTED,
         "as in [CLS] A [SEP]"},
        {FILE_OF("", UNCASED, PRE_TOKENIZER, M, "{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",17],\"sep\":[\"[SEP]\",2]}"),
         SENVEC_FORMAT, "id 17 is beyond the vocabulary of 17"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file("tokenizer.json", cases[i].json);
        refused(cases[i].status, cases[i].part);
    }
    remove_file("tokenizer.json");
    write_file("vocab.txt", "");
    refused(SENVEC_FORMAT, "the file is empty");
    write_file("vocab.txt", "[UNK]\n[CLS]\n");
    refused(SENVEC_FORMAT, "the sep_token \"[SEP]\" is not in it");
    write_file("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
    write_file("tokenizer_config.json", "{\"tokenizer_class\":\"MPNetTokenizer\"}");
    refused(SENVEC_UNSUPPORTED, "MPNetTokenizer");
    write_file("tokenizer_config.json", "{\"do_basic_tokenize\":false}");
    refused(SENVEC_UNSUPPORTED, "do_basic_tokenize");
    write_file("tokenizer_config.json", "{\"never_split\":[\"x\"]}");
    refused(SENVEC_UNSUPPORTED, "never_split");
    write_file("tokenizer_config.json", "{\"do_lower_case\":1}");
    refused(SENVEC_FORMAT, "do_lower_case");
    write_file("tokenizer_config.json", "[");
    refused(SENVEC_FORMAT, "not valid JSON");
    remove_file("vocab.txt");
    remove_file("tokenizer_config.json");
}

/* Counts what is live, and fails the allocation number `fail_at`. */
typedef struct counter {
    size_t live, calls, fail_at;
} counter;

static void *counting_alloc(void *context, size_t size, size_t alignment) {
    counter *c = context;
    if (++c->calls == c->fail_at)
        return NULL;
    c->live++;
    return sv_default_allocator.alloc(NULL, size, alignment);
}

static void counting_free(void *context, void *block, size_t size) {
    ((counter *)context)->live--;
    sv_default_allocator.free(NULL, block, size);
}

static void every_allocation_may_fail_and_encoding_makes_none(void **state) {
    (void)state;
    write_file("tokenizer.json", USUAL);
    counter c = {0};
    senvec_allocator allocator = {counting_alloc, counting_free, &c};
    sv_tokenizer *t;
    senvec_status status = SENVEC_OUT_OF_MEMORY;
    for (c.fail_at = 1; status != SENVEC_OK; c.fail_at++) {
        c.calls = 0;
        senvec_error err;
        status = sv_tokenizer_load(directory, &allocator, &t, &err);
        if (status != SENVEC_OK) {
            assert_int_equal(status, SENVEC_OUT_OF_MEMORY);
            assert_int_equal(c.live, 0);
        }
    }
    assert_true(c.fail_at > 5);
    size_t calls = c.calls;
    uint32_t ids[16];
    sv_tokenizer_encode(t, "hello [MASK] caf\xc3\xa9", 18, SENVEC_TRUNCATION_AUTO, ids, 16);
    assert_int_equal(c.calls, calls);
    sv_tokenizer_free(t);
    assert_int_equal(c.live, 0);
    sv_tokenizer_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_pieces_and_punctuation),
        cmocka_unit_test(a_long_word_is_unknown),
        cmocka_unit_test(normalisation),
        cmocka_unit_test(marks_are_ordered),
        cmocka_unit_test(added_tokens_in_the_text),
        cmocka_unit_test(options),
        cmocka_unit_test(truncation),
        cmocka_unit_test(invalid_utf8),
        cmocka_unit_test(utf8_round_trip),
        cmocka_unit_test(lower_case_gives_word_characters),
        cmocka_unit_test(text_at_the_end_of_memory),
        cmocka_unit_test(ten_megabytes),
        cmocka_unit_test(from_vocab_txt),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(every_allocation_may_fail_and_encoding_makes_none),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
