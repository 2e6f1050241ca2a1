/* Texts out of files of each format: whole, and through a pipe that gives one byte at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/limits.h"
#include "io/corpus.h"

static const char *temporary = "corpus_test.tmp";

static void write_file(const char *path, const char *content, size_t length) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* Reads all texts, each followed by '|', into `out`. */
static senvec_status read_path(const char *path, const sv_corpus_options *options, char *out, size_t *out_length,
                               senvec_error *err) {
    sv_corpus *corpus = NULL;
    senvec_status status = sv_corpus_open(path, options, &corpus, err);
    *out_length = 0;
    bool more = true;
    senvec_text text;
    while (status == SENVEC_OK && (status = sv_corpus_next(corpus, &text, &more, err)) == SENVEC_OK && more) {
        if (text.length)
            memcpy(out + *out_length, text.data, text.length);
        *out_length += text.length;
        out[(*out_length)++] = '|';
    }
    out[*out_length] = '\0';
    if (status == SENVEC_OK) {
        uint64_t done, total;
        sv_corpus_progress(corpus, &done, &total);
        assert_true(total == 0 || done == total);
    }
    sv_corpus_close(corpus);
    return status;
}

/* The same bytes through a pipe, one at a time. */
static senvec_status read_pipe(const char *content, size_t length, const sv_corpus_options *options, char *out,
                               size_t *out_length, senvec_error *err) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        for (size_t i = 0; i < length; i++)
            if (write(ends[1], content + i, 1) != 1)
                break;
        _exit(0);
    }
    close(ends[1]);
    char path[32];
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    senvec_status status = read_path(path, options, out, out_length, err);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return status;
}

static void expect_bytes(const sv_corpus_options *options, const char *content, size_t length, const char *wanted,
                         size_t wanted_length) {
    char out[4096];
    size_t out_length;
    senvec_error err = {0};
    write_file(temporary, content, length);
    if (read_path(temporary, options, out, &out_length, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    assert_int_equal(out_length, wanted_length);
    assert_memory_equal(out, wanted, wanted_length);
    if (read_pipe(content, length, options, out, &out_length, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    assert_int_equal(out_length, wanted_length);
    assert_memory_equal(out, wanted, wanted_length);
    unlink(temporary);
}

static void expect(const sv_corpus_options *options, const char *content, const char *wanted) {
    expect_bytes(options, content, strlen(content), wanted, strlen(wanted));
}

/* The message must hold `part`, and the texts before the error must have come. */
static void expect_error(const sv_corpus_options *options, const char *content, const char *before, senvec_status code,
                         const char *part) {
    char out[4096];
    size_t length;
    senvec_error err = {0};
    write_file(temporary, content, strlen(content));
    assert_int_equal(read_path(temporary, options, out, &length, &err), code);
    assert_string_equal(out, before);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    assert_non_null(strstr(err.message, temporary));
    assert_int_equal(read_pipe(content, strlen(content), options, out, &length, &err), code);
    assert_string_equal(out, before);
    unlink(temporary);
}

static const sv_corpus_options lines = {.format = SV_CORPUS_LINES};
static const sv_corpus_options jsonl = {.format = SV_CORPUS_JSONL, .key = "t"};
static const sv_corpus_options strings = {.format = SV_CORPUS_JSONL};
static const sv_corpus_options csv = {.format = SV_CORPUS_CSV, .column = "text"};
static const sv_corpus_options second = {.format = SV_CORPUS_CSV, .column = "2"};
static const sv_corpus_options tsv = {.format = SV_CORPUS_TSV, .column = "text"};

static void lines_are_texts(void **state) {
    (void)state;
    expect(&lines, "", "");
    expect(&lines, "\n", "|");
    expect(&lines, "a", "a|");
    expect(&lines, "a\nb\n", "a|b|");
    expect(&lines, "a\r\n\r\nb\rc\r\n", "a||b\rc|");
    expect(&lines,
           "\xef\xbb\xbf"
           "a\n\xef\xbb\xbf"
           "b",
           "a|\xef\xbb\xbf"
           "b|");
    expect(&lines, "\xef\xbb\xbf", "");
    expect(&lines, "\xef\xbb", "\xef\xbb|");
    expect(&lines, "\xff\xfe\xc3(\n", "\xff\xfe\xc3(|");
    expect_bytes(&lines, "a\0b\n\0\n", 6, "a\0b|\0|", 6);
}

static void utf16_is_refused(void **state) {
    (void)state;
    senvec_error err;
    char out[64];
    size_t length;
    write_file(temporary,
               "\xff\xfe"
               "a\0\n\0",
               6);
    assert_int_equal(read_path(temporary, &lines, out, &length, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "iconv"));
    write_file(temporary, "\xfe\xff\0a\0\n", 6);
    assert_int_equal(read_path(temporary, &lines, out, &length, &err), SENVEC_FORMAT);
    unlink(temporary);
}

static void json_lines(void **state) {
    (void)state;
    expect(&jsonl, "", "");
    expect(&jsonl, "{\"t\": \"a\"}\n\n  \t\n{\"x\": [1], \"t\": \"\\u00e9\\n\\\"\"}\r\n\"plain\"", "a|\xc3\xa9\n\"|plain|");
    expect(&jsonl, "\xef\xbb\xbf\n{\"t\": \"\"}", "|");
    expect_bytes(&jsonl, "{\"t\": \"a\\u0000b\"}", 17, "a\0b|", 4);
    expect_error(&jsonl, "{\"t\": \"a\"}\n\n{\"t\": \"b\"\n", "a|", SENVEC_FORMAT, "line 3: not JSON");
    expect_error(&jsonl, "{\"t\": \"a\"} x\n", "", SENVEC_FORMAT, "line 1: not JSON");
    expect_error(&jsonl, "{\"u\": \"a\"}\n", "", SENVEC_FORMAT, "line 1: no member \"t\"");
    expect_error(&jsonl, "{\"t\": \"a\"}\n{\"t\": null}\n", "a|", SENVEC_FORMAT, "line 2: no string in member \"t\"");
    expect_error(&jsonl, "5\n", "", SENVEC_FORMAT, "line 1: neither an object nor a string");
    expect_error(&jsonl, "{\"t\": \"\xff\"}\n", "", SENVEC_FORMAT, "line 1: not JSON");
    expect_error(&strings, "{\"t\": \"a\"}\n", "", SENVEC_INVALID_ARGUMENT, "--key");
}

static void json_array(void **state) {
    (void)state;
    expect(&strings, "[]", "");
    expect(&strings, " [ ]\n", "");
    expect(&strings, "[\"a\", \"]\\\"\\\\\",\n\"[{\"]\n", "a|]\"\\|[{|");
    expect(&jsonl, "[{\"t\": \"a}\", \"u\": {\"t\": [\"x\"]}},\n \"b\"]", "a}|b|");
    expect_error(&strings, "[\"a\"", "a|", SENVEC_FORMAT, "ends inside its JSON array");
    expect_error(&strings, "[\"a\",", "a|", SENVEC_FORMAT, "ends inside its JSON array");
    expect_error(&strings, "[\n\"a\",\n\"b", "a|", SENVEC_FORMAT, "line 3: the file ends inside the value");
    expect_error(&strings, "[\"a\\", "", SENVEC_FORMAT, "line 1: the file ends inside the value");
    expect_error(&strings, "[\"a\" \"b\"]", "a|", SENVEC_FORMAT, "no ','");
    expect_error(&strings, "[\"a\",]", "a|", SENVEC_FORMAT, "neither an object nor a string");
    expect_error(&strings, "[1]", "", SENVEC_FORMAT, "neither an object nor a string");
    expect_error(&strings, "[\"a\"]\n\nx", "a|", SENVEC_FORMAT, "line 3: something follows");
    expect_error(&jsonl, "[\n{\"t\":\n\"a\" x}]", "", SENVEC_FORMAT, "line 3: not JSON");
}

static void csv_columns(void **state) {
    (void)state;
    expect(&csv, "id,text\n1,a\n2,\"b, \"\"q\"\"\nc\"\r\n\r\n3,\n", "a|b, \"q\"\nc||");
    expect(&csv, "\xef\xbb\xbf\"text\",id\r\na,1\r\n\"\",2", "a||");
    expect(&csv, "text\na\n\n\"\"\nb\"c\"\n", "a||b\"c\"|");
    expect(&csv, "text", "");
    expect(&second, "1,a\n2,b,extra\n", "a|b|");
    expect(&tsv, "id\ttext\n1\ta, b\n2\t\"c\td\"\n", "a, b|c\td|");
    expect_bytes(&second, "1,a\0\xff\n", 6, "a\0\xff|", 4);
    expect_error(&csv, "id,body\n1,a\n", "", SENVEC_INVALID_ARGUMENT, "no column \"text\"; there are: id, body");
    expect_error(&csv, "", "", SENVEC_INVALID_ARGUMENT, "no column \"text\"");
    expect_error(&csv, "id,text\n1,a\n2\n", "a|", SENVEC_FORMAT, "line 3: 1 fields");
    expect_error(&csv, "id,text\n1,\"a\nb\n", "", SENVEC_FORMAT, "line 2: the field that begins here has no closing quote");
    expect_error(&csv, "id,text\n1,a\n2,\"b\" c\n", "a|", SENVEC_FORMAT, "line 3: text after a closing quote");
}

static void csv_needs_a_column(void **state) {
    (void)state;
    senvec_error err;
    sv_corpus *corpus;
    write_file(temporary, "a\n", 2);
    sv_corpus_options none = {.format = SV_CORPUS_CSV}, zero = {.format = SV_CORPUS_CSV, .column = "0"};
    assert_int_equal(sv_corpus_open(temporary, &none, &corpus, &err), SENVEC_INVALID_ARGUMENT);
    assert_int_equal(sv_corpus_open(temporary, &zero, &corpus, &err), SENVEC_INVALID_ARGUMENT);
    unlink(temporary);
}

static void format_by_name(void **state) {
    (void)state;
    static const struct {
        const char *name, *content;
    } files[] = {
        {"corpus_test.jsonl", "{\"t\": \"a\"}"}, {"corpus_test.ndjson", "{\"t\": \"a\"}"},
        {"corpus_test.JSON", "[\"a\"]"},         {"corpus_test.csv", "x,text\n1,a"},
        {"corpus_test.tsv", "x\ttext\n1\ta"},    {"corpus_test.txt", "{\"t\": \"a\"}"},
    };
    char out[64];
    size_t length;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        sv_corpus_options options = {.key = "t", .column = "text"};
        write_file(files[i].name, files[i].content, strlen(files[i].content));
        assert_int_equal(read_path(files[i].name, &options, out, &length, NULL), SENVEC_OK);
        assert_string_equal(out, "a|");
        unlink(files[i].name);
    }
    sv_corpus_options none = {0}, by_column = {.column = "1"};
    write_file("corpus_test.txt", "a,b", 3);
    assert_int_equal(read_path("corpus_test.txt", &none, out, &length, NULL), SENVEC_OK);
    assert_string_equal(out, "a,b|");
    assert_int_equal(read_path("corpus_test.txt", &by_column, out, &length, NULL), SENVEC_OK);
    assert_string_equal(out, "a|");
    unlink("corpus_test.txt");
}

static void files_that_cannot_be_read(void **state) {
    (void)state;
    sv_corpus *corpus;
    senvec_error err;
    assert_int_equal(sv_corpus_open("no/such/file", &lines, &corpus, &err), SENVEC_NOT_FOUND);
    assert_non_null(strstr(err.message, "no/such/file"));
    assert_int_equal(sv_corpus_open("/", &lines, &corpus, &err), SENVEC_IO);
}

/* 10 MB lines are fine in each format; over the limit is an error that names the line. */
static void long_records(void **state) {
    (void)state;
    size_t size = 10u << 20;
    char *content = malloc(SV_MAX_LINE_BYTES + 64u);
    assert_non_null(content);
    static const struct {
        const sv_corpus_options *options;
        const char *before, *after;
    } records[] = {{&lines, "", "\r\n"}, {&jsonl, "{\"t\": \"", "\"}\n"}, {&strings, "[\"", "\"]"}, {&csv, "text\n", "\n"}};
    senvec_text text;
    bool more;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        size_t before = strlen(records[i].before), after = strlen(records[i].after);
        memcpy(content, records[i].before, before);
        memset(content + before, 'x', size);
        memcpy(content + before + size, records[i].after, after);
        write_file(temporary, content, before + size + after);
        sv_corpus *corpus;
        senvec_error err = {0};
        assert_int_equal(sv_corpus_open(temporary, records[i].options, &corpus, &err), SENVEC_OK);
        if (sv_corpus_next(corpus, &text, &more, &err) != SENVEC_OK)
            fail_msg("%s", err.message);
        assert_true(more);
        assert_int_equal(text.length, size);
        assert_int_equal(sv_corpus_next(corpus, &text, &more, NULL), SENVEC_OK);
        assert_false(more);
        sv_corpus_close(corpus);
    }
    for (size_t over = 0; over <= 3; over += 1) {
        sv_corpus *corpus;
        senvec_error err = {0};
        memset(content, 'x', SV_MAX_LINE_BYTES + over + 2);
        content[1] = '\n';
        content[SV_MAX_LINE_BYTES + over + 2] = '\n';
        write_file(temporary, content, SV_MAX_LINE_BYTES + over + 3);
        assert_int_equal(sv_corpus_open(temporary, &lines, &corpus, NULL), SENVEC_OK);
        assert_int_equal(sv_corpus_next(corpus, &text, &more, NULL), SENVEC_OK);
        assert_int_equal(sv_corpus_next(corpus, &text, &more, &err), over ? SENVEC_TOO_LARGE : SENVEC_OK);
        if (over)
            assert_non_null(strstr(err.message, "line 2"));
        sv_corpus_close(corpus);
    }
    unlink(temporary);
    free(content);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_texts), cmocka_unit_test(utf16_is_refused), cmocka_unit_test(json_lines),
        cmocka_unit_test(json_array),      cmocka_unit_test(csv_columns),      cmocka_unit_test(csv_needs_a_column),
        cmocka_unit_test(format_by_name),  cmocka_unit_test(long_records),     cmocka_unit_test(files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
