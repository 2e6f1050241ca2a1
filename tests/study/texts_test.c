/* The built-in texts, sampling of files, invalid bytes, equal texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/limits.h"
#include "io/texts.h"

static const char *temporary = "texts_test.txt";
static const sv_corpus_options lines = {.format = SV_CORPUS_LINES};

static void write_bytes(const char *bytes, size_t length) {
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void built_in(void **state) {
    (void)state;
    sv_texts texts;
    assert_int_equal(sv_default_corpus_count, 20);
    assert_int_equal(sv_texts_load(&texts, NULL, NULL, SV_STUDY_DEFAULT_TEXTS, 1, NULL), SENVEC_OK);
    assert_int_equal(texts.count, 1000);
    assert_int_equal(texts.distinct_count, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(texts.distinct[i], i);
        assert_string_equal(texts.texts[20 + i].data, sv_default_corpus[i]);
    }
    sv_texts_release(&texts);
}

static void sample_is_uniform_and_ordered(void **state) {
    (void)state;
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++)
        fprintf(file, "%05d\n", i);
    assert_int_equal(fclose(file), 0);

    sv_texts texts, again;
    assert_int_equal(sv_texts_load(&texts, temporary, &lines, 500, 3, NULL), SENVEC_OK);
    assert_int_equal(sv_texts_load(&again, temporary, &lines, 500, 3, NULL), SENVEC_OK);
    assert_int_equal(texts.count, 500);
    assert_true(texts.seen == 5000);
    assert_int_equal(texts.distinct_count, 500);
    size_t late = 0;
    for (size_t i = 0; i < 500; i++) {
        assert_string_equal(texts.texts[i].data, again.texts[i].data);
        assert_true(i == 0 || strcmp(texts.texts[i - 1].data, texts.texts[i].data) < 0);
        late += strcmp(texts.texts[i].data, "02500") >= 0;
    }
    assert_in_range(late, 205, 295); /* 250 expected, 4 standard deviations are 45 */
    sv_texts_release(&texts);
    sv_texts_release(&again);
}

/* A file far larger than the sample: every line is seen, only the sample is kept. */
static void ten_million_lines(void **state) {
    (void)state;
    static char block[100000 * 3];
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    for (size_t i = 0; i < sizeof block; i += 3) {
        block[i] = (char)('a' + i / 3 % 26);
        block[i + 1] = 'b';
        block[i + 2] = '\n';
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(fwrite(block, 1, sizeof block, file), sizeof block);
    assert_int_equal(fclose(file), 0);
    sv_texts texts;
    assert_int_equal(sv_texts_load(&texts, temporary, &lines, 1000, 1, NULL), SENVEC_OK);
    assert_true(texts.seen == 10000000);
    assert_int_equal(texts.count, 1000);
    assert_int_equal(texts.distinct_count, 26);
    sv_texts_release(&texts);
}

/* What Python's bytes.decode("utf-8", "replace") gives. */
static void invalid_bytes_are_replaced(void **state) {
    (void)state;
    static const char bytes[] = "a\xff\nb\xe2\x82\nok\nc\xed\xa0\x80\nd\xf0\x9f\x98\x80\n\xf0\x9f\x41\n";
    write_bytes(bytes, sizeof bytes - 1);
    sv_texts texts;
    assert_int_equal(sv_texts_load(&texts, temporary, &lines, 100, 1, NULL), SENVEC_OK);
    assert_int_equal(texts.count, 6);
    assert_string_equal(texts.texts[0].data, "a\xef\xbf\xbd");
    assert_string_equal(texts.texts[1].data, "b\xef\xbf\xbd");
    assert_string_equal(texts.texts[2].data, "ok");
    assert_string_equal(texts.texts[3].data, "c\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(texts.texts[4].data, "d\xf0\x9f\x98\x80");
    assert_string_equal(texts.texts[5].data, "\xef\xbf\xbd"
                                             "A");
    assert_true(texts.invalid_utf8 == 4);
    sv_texts_release(&texts);
}

static void distinct_texts(void **state) {
    (void)state;
    static const char bytes[] = "[\"b\", \"a\", \"b\", \"\", \"ab\", \"\", \"a\\u0000\", \"a\"]";
    static const sv_corpus_options strings = {.format = SV_CORPUS_JSONL};
    write_bytes(bytes, sizeof bytes - 1);
    sv_texts texts;
    assert_int_equal(sv_texts_load(&texts, temporary, &strings, 100, 1, NULL), SENVEC_OK);
    const size_t expected[] = {0, 1, 3, 4, 6};
    assert_int_equal(texts.count, 8);
    assert_int_equal(texts.distinct_count, 5);
    assert_memory_equal(texts.distinct, expected, sizeof expected);

    assert_int_equal(sv_texts_write(&texts, texts.distinct, texts.distinct_count, "texts_test.json", NULL), SENVEC_OK);
    json_t *array = json_load_file("texts_test.json", JSON_ALLOW_NUL, NULL);
    assert_int_equal(json_array_size(array), 5);
    assert_int_equal(json_string_length(json_array_get(array, 4)), 2);
    json_decref(array);
    unlink("texts_test.json");
    sv_texts_release(&texts);
}

/* The sets are always the same texts; what is calibrated on doesn't meet what is judged by. */
static void own_sets(void **state) {
    (void)state;
    static const char *const names[] = {SV_TEXTS_QUERY, SV_TEXTS_LISTING, SV_TEXTS_LONG, SV_TEXTS_WIDE, SV_TEXTS_CALIBRATION};
    static const size_t counts[] = {32, 64, 32, 192, 100};
    assert_int_equal(sv_query_count, 32);
    for (size_t i = 0; i < 5; i++) {
        sv_texts texts, again;
        assert_int_equal(sv_texts_make(&texts, names[i], NULL), SENVEC_OK);
        assert_int_equal(sv_texts_make(&again, names[i], NULL), SENVEC_OK);
        assert_int_equal(texts.count, counts[i]);
        for (size_t t = 0; t < texts.count; t++)
            assert_string_equal(texts.texts[t].data, again.texts[t].data);
        assert_true(texts.distinct_count > texts.count - 10);
        sv_texts_release(&texts);
        sv_texts_release(&again);
    }
    sv_texts wide, calibration;
    assert_int_equal(sv_texts_make(&wide, SV_TEXTS_WIDE, NULL), SENVEC_OK);
    assert_int_equal(sv_texts_make(&calibration, SV_TEXTS_CALIBRATION, NULL), SENVEC_OK);
    for (size_t s = 0; s < sv_sentence_count; s++) {
        bool judged = false, calibrated = false;
        for (size_t t = 0; t < wide.count; t++)
            judged = judged || strstr(wide.texts[t].data, sv_sentences[s]);
        for (size_t t = 0; t < calibration.count; t++)
            calibrated = calibrated || strstr(calibration.texts[t].data, sv_sentences[s]);
        assert_true(judged != calibrated);
    }
    sv_texts_release(&wide);
    sv_texts_release(&calibration);
}

static void bad_input(void **state) {
    (void)state;
    sv_texts texts;
    senvec_error err;
    write_bytes("", 0);
    assert_int_equal(sv_texts_load(&texts, temporary, &lines, 100, 1, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "holds no text"));
    assert_int_equal(sv_texts_load(&texts, "no-such-file", &lines, 100, 1, &err), SENVEC_NOT_FOUND);
    assert_int_equal(sv_texts_load(&texts, NULL, NULL, 0, 1, &err), SENVEC_INVALID_ARGUMENT);
    assert_int_equal(sv_texts_load(&texts, NULL, NULL, SV_MAX_STUDY_TEXTS + 1, 1, &err), SENVEC_INVALID_ARGUMENT);

    static const char csv[] = "name,text\n1,hello\n";
    write_bytes(csv, sizeof csv - 1);
    const sv_corpus_options column = {.format = SV_CORPUS_CSV, .column = "skill"};
    assert_int_not_equal(sv_texts_load(&texts, temporary, &column, 100, 1, &err), SENVEC_OK);
    assert_non_null(strstr(err.message, "skill"));
    sv_texts_release(&texts);

    write_bytes("one", 3);
    assert_int_equal(sv_texts_load(&texts, temporary, &lines, 100, 1, &err), SENVEC_OK);
    assert_int_equal(texts.count, 1);
    assert_int_equal(texts.distinct_count, 1);
    sv_texts_release(&texts);
}

static int clean(void **state) {
    (void)state;
    unlink(temporary);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in),          cmocka_unit_test(sample_is_uniform_and_ordered),
        cmocka_unit_test(ten_million_lines), cmocka_unit_test(invalid_bytes_are_replaced),
        cmocka_unit_test(distinct_texts),    cmocka_unit_test(own_sets),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
