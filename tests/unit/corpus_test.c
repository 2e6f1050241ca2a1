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
#include <zlib.h>
#include <zstd.h>

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
    expect(&lines, "\xfe\xc3(\n", "\xfe\xc3(|");
}

/* What is no text is named, whatever the format was to be, from a file and through a pipe. */
static void binary_data_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *content;
        size_t length;
        const char *name, *advice;
    } files[] = {
#define CONTENT(content) content, sizeof(content) - 1
        {CONTENT("\xff\xfe"
                 "a\0\n\0"),
         "UTF-16", "iconv"},
        {CONTENT("\xfe\xff\0a\0\n"), "UTF-16", "iconv"},
        {CONTENT("\xff\xfe\x2d\x4e\x87\x65"), "UTF-16", "iconv"}, /* no letter below U+0100 */
        {CONTENT("\xff\xfe\0\0a\0\0\0"), "UTF-32", "iconv"},
        {CONTENT("\0\0\xfe\xff\0\0\0a"), "UTF-32", "iconv"},
        {CONTENT("a\0b\0c\0\n\0"), "UTF-16 without a byte order mark", "iconv"},
        {CONTENT("PAR1\x15\x04\x15\x10"), "a Parquet file", "CSV or JSON lines"},
        {CONTENT("PAR1 is\0"), "a Parquet file", "CSV or JSON lines"},
        {CONTENT("ARROW1\0\0\xff\xff\xff\xff"), "an Arrow file", "CSV or JSON lines"},
        {CONTENT("\xff\xff\xff\xff\x10\0\0\0"), "an Arrow stream", "CSV or JSON lines"},
        {CONTENT("\xfd"
                 "7zXZ\0rest"),
         "compressed by xz", "xz -d"},
        {CONTENT("BZh11AY&SYrest"), "compressed by bzip2", "bzip2 -d"},
        {CONTENT("BZh91AY&SYrest"), "compressed by bzip2", "bzip2 -d"},
        {CONTENT("PK\x03\x04rest"), "a zip archive", "unpack"},
        {CONTENT("GGUF\x03\0\0\0"), "a GGUF model", "-m"},
        {CONTENT("\x08\x08\x12\x06senvec"), "an ONNX model", "-m"},
        {CONTENT("\x10\0\0\0\0\0\0\0{\"a\": 1}"), "a safetensors file", "-m"},
        {CONTENT("one\ntwo\0three\n"), "binary data", "UTF-8"},
#undef CONTENT
    };
    const sv_corpus_options *const formats[] = {&lines, &jsonl, &csv, &tsv};
    char out[4096];
    size_t length;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
            senvec_error err = {0};
            write_file(temporary, files[i].content, files[i].length);
            assert_int_equal(read_path(temporary, formats[f], out, &length, &err), SENVEC_FORMAT);
            if (!strstr(err.message, files[i].name) || !strstr(err.message, files[i].advice))
                fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.message, files[i].name, files[i].advice);
        }
        senvec_error err = {0};
        assert_int_equal(read_pipe(files[i].content, files[i].length, &lines, out, &length, &err), SENVEC_FORMAT);
        /* A pipe that brings one byte at a time may have handed out a line before the NUL byte comes. */
        if (!strstr(err.message, "NUL") && !strstr(err.message, files[i].name))
            fail_msg("\"%s\" lacks \"%s\"", err.message, files[i].name);
    }
    unlink(temporary);
    /* Texts that begin like one of them. */
    expect(&lines, "PAR1 is a gene\nPAREIL\nBZh\n", "PAR1 is a gene|PAREIL|BZh|");
    expect(&lines, "GGUF", "GGUF|");
    expect(&lines, "PK", "PK|");
    expect(&lines, "ORC and more", "ORC and more|");
    expect(&lines, "(not zstd", "(not zstd|");
}

/* "abc...xyz\nabc..." packed by zlib and zstd themselves, whole, cut at each byte, and damaged. */
static void packed_text(void **state) {
    (void)state;
    enum { MOST = 4096 };
    char text[2000], packed[2][MOST], twice[MOST], out[4096], wanted[2048];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 50 == 49 ? '\n' : (char)('a' + (i * i + i / 7) % 26);
    size_t lengths[2];
    z_stream gzip = {.next_in = (Bytef *)text, .avail_in = sizeof text, .next_out = (Bytef *)packed[0], .avail_out = MOST};
    assert_int_equal(deflateInit2(&gzip, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&gzip, Z_FINISH), Z_STREAM_END);
    lengths[0] = gzip.total_out;
    deflateEnd(&gzip);
    lengths[1] = ZSTD_compress(packed[1], MOST, text, sizeof text, 3);
    assert_false(ZSTD_isError(lengths[1]));
    for (size_t i = 0; i < sizeof text; i++)
        wanted[i] = text[i] == '\n' ? '|' : text[i];
    for (size_t p = 0; p < 2; p++) {
        senvec_error err = {0};
        size_t length;
        expect_bytes(&lines, packed[p], lengths[p], wanted, sizeof text);
        memcpy(twice, packed[p], lengths[p]);
        memcpy(twice + lengths[p], packed[p], lengths[p]);
        char both[4096];
        memcpy(both, wanted, sizeof text);
        memcpy(both + sizeof text, wanted, sizeof text);
        expect_bytes(&lines, twice, 2 * lengths[p], both, 2 * sizeof text);
        for (size_t cut = 4; cut < lengths[p]; cut++) {
            write_file(temporary, packed[p], cut);
            assert_int_equal(read_path(temporary, &lines, out, &length, &err), SENVEC_FORMAT);
            assert_non_null(strstr(err.message, "it was cut"));
        }
        packed[p][lengths[p] / 2] ^= 0x55;
        packed[p][lengths[p] / 2 + 1] ^= 0x55;
        write_file(temporary, packed[p], lengths[p]);
        senvec_status status = read_path(temporary, &lines, out, &length, &err);
        assert_true(p == 1 || status == SENVEC_FORMAT); /* zstd has no checksum unless asked for */
        unlink(temporary);
    }
    /* An empty text, and zeros behind the end as tapes have them. */
    expect_bytes(&lines,
                 "\x1f\x8b\x08\0\0\0\0\0\0\x03"
                 "\x03\0\0\0\0\0\0\0\0\0\0\0",
                 22, "", 0);
}

static void json_lines(void **state) {
    (void)state;
    expect(&jsonl, "", "");
    expect(&jsonl, "{\"t\": \"a\"}\n\n  \t\n{\"x\": [1], \"t\": \"\\u00e9\\n\\\"\"}\r\n\"plain\"", "a|\xc3\xa9\n\"|plain|");
    expect(&jsonl, "\xef\xbb\xbf\n{\"t\": \"\"}", "|");
    expect_bytes(&jsonl, "{\"t\": \"a\\u0000b\"}", 17, "a\0b|", 4);
    /* Numbers that no type of a decoder holds; they aren't the text. */
    expect(&jsonl, "{\"id\":18446744073709551615,\"t\":\"a\"}\n{\"id\":-1e999,\"t\":\"b\"}\n{\"t\":\"c\",\"n\":[1E+5,0.5,-0]}",
           "a|b|c|");
    expect(&jsonl, "{\"t\":\"\\ud83d\\ude00 \\/\\b\\f\\t\\r\"}", "\xf0\x9f\x98\x80 /\b\f\t\r|");
    expect(&jsonl, "{\"t\":\"x\\ud83d y\"}", "x\xff y|"); /* half of a pair */
    expect(&jsonl, "{\"t\":\"first\",\"t\":\"last\"}", "last|");
    expect(&jsonl, "{\"\\u0074\":\"a\"}", "a|");
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
    expect_bytes(&second, "1,a\xff\n", 5, "a\xff|", 3);
    expect_error(&csv, "id,body\n1,a\n", "", SENVEC_INVALID_ARGUMENT, "no column \"text\"; there are: id, body");
    expect_error(&csv, "", "", SENVEC_INVALID_ARGUMENT, "no column \"text\"");
    expect_error(&csv, "id,text\n1,a\n2\n", "a|", SENVEC_FORMAT, "line 3: 1 field,");
    expect_error(&second, "a\n", "", SENVEC_FORMAT, "line 1: 1 field,");
    expect_error(&csv, "id,text\n1,\"a\nb\n", "", SENVEC_FORMAT, "line 2: the field that begins here has no closing quote");
    expect_error(&csv, "id,text\n1,a\n2,\"b\" c\n", "a|", SENVEC_FORMAT, "line 3: text after a closing quote");
}

/* A quote is a character like any other between tabs, unless it is asked for. */
static void tsv_columns(void **state) {
    (void)state;
    const sv_corpus_options quoted = {.format = SV_CORPUS_TSV, .column = "text", .quoting = SV_QUOTING_CSV};
    const sv_corpus_options bare = {.format = SV_CORPUS_CSV, .column = "text", .quoting = SV_QUOTING_NONE};
    expect(&tsv, "id\ttext\n1\ta, b\n2\t\"Hello\n3\t5\" disk\r\n", "a, b|\"Hello|5\" disk|");
    expect(&tsv, "id\ttext\n1\t\"c\td\"\n", "\"c|");
    expect(&quoted, "id\ttext\n1\ta, b\n2\t\"c\td\"\n", "a, b|c\td|");
    expect(&bare, "id,text\n1,\"a\n2,b\n", "\"a|b|");
}

static void separators(void **state) {
    (void)state;
    const sv_corpus_options semicolons = {.format = SV_CORPUS_CSV, .column = "text", .separator = ';'};
    const sv_corpus_options tabs = {.format = SV_CORPUS_CSV, .column = "text", .separator = '\t'};
    expect(&semicolons, "id;text\n1;a,b\n2;\"c;d\"\n", "a,b|c;d|");
    expect(&tabs, "id\ttext\n1\t\"a\n", "\"a|");
}

/* A number is a position; what is no position is a name, and so is any with `header`. */
static void columns_with_numbers_for_names(void **state) {
    (void)state;
    const sv_corpus_options year = {.format = SV_CORPUS_CSV, .column = "2024"};
    const sv_corpus_options one = {.format = SV_CORPUS_CSV, .column = "1", .header = true};
    const sv_corpus_options two = {.format = SV_CORPUS_CSV, .column = "2", .header = true};
    expect(&year, "2023,2024\na,b\nc,d\n", "b|d|");
    expect(&one, "x,1\na,b\n", "b|");
    expect(&two, "x,1\na,b\n", "b|");
    expect(&second, "2,b\n3,c\n", "b|c|");
    expect(&second, "", "");
    expect_error(&year, "2023,2025\na,b\n", "", SENVEC_FORMAT, "line 1: 2 fields");
}

static void members_within_members(void **state) {
    (void)state;
    const sv_corpus_options dotted = {.format = SV_CORPUS_JSONL, .key = "a.b"};
    const sv_corpus_options element = {.format = SV_CORPUS_JSONL, .key = "m.1.c"};
    expect(&dotted, "{\"a\":{\"x\":1,\"b\":\"t\"}}\n{\"a.b\":\"whole\",\"a\":{\"b\":\"t\"}}\n", "t|whole|");
    expect(&element, "{\"m\":[{\"c\":\"0\"},{\"c\":\"1\"}]}", "1|");
    expect_error(&dotted, "{\"a\":\"b\"}\n", "", SENVEC_FORMAT, "no member \"a.b\"");
    expect_error(&element, "{\"m\":[{\"c\":\"0\"}]}", "", SENVEC_FORMAT, "no member \"m.1.c\"");
}

/* Broken records are left out and counted, and the records keep their numbers. */
static void bad_records_are_skipped(void **state) {
    (void)state;
    static const struct {
        sv_corpus_format format;
        const char *content, *numbers, *first;
        uint64_t skipped;
    } files[] = {
        {SV_CORPUS_JSONL, "{\"t\":\"a\"}\n{\"t\":\n5\n{\"u\":1}\n{\"t\":\"b\"}\n", "04", "line 2: not JSON", 3},
        {SV_CORPUS_JSONL, "[{\"t\":\"a\"}, 5, null, {\"t\":2}, {\"t\":\"b\"}]", "04", "neither an object", 3},
        {SV_CORPUS_CSV, "t,u\na,1\n\"x\" y,2\n\"b\",3\n", "02", "line 3: text after", 1},
        {SV_CORPUS_CSV, "u,t\n1,a\n2\n3,b\n", "02", "line 3: 1 field", 1},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const sv_corpus_options options = {.format = files[i].format, .key = "t", .column = "t", .skip_bad = true};
        write_file(temporary, files[i].content, strlen(files[i].content));
        sv_corpus *corpus = NULL;
        assert_int_equal(sv_corpus_open(temporary, &options, &corpus, NULL), SENVEC_OK);
        senvec_text text;
        bool more;
        size_t count = 0;
        while (sv_corpus_next(corpus, &text, &more, NULL) == SENVEC_OK && more) {
            assert_int_equal(text.length, 1);
            assert_int_equal(text.data[0], "ab"[count]);
            assert_int_equal(sv_corpus_records(corpus), files[i].numbers[count] - '0' + 1);
            count++;
        }
        const char *first;
        assert_int_equal(count, 2);
        assert_int_equal(sv_corpus_skipped(corpus, &first), files[i].skipped);
        assert_non_null(strstr(first, files[i].first));
        sv_corpus_close(corpus);
    }
    unlink(temporary);
}

/* What was asked for beside the text. */
static void kept_values(void **state) {
    (void)state;
    static const char *const names[] = {"id", "deep.er", "none"};
    static const char *const numbers[] = {"2"};
    const sv_corpus_options json = {.format = SV_CORPUS_JSONL, .key = "t", .keep = names, .keep_count = 3};
    const sv_corpus_options table = {.format = SV_CORPUS_CSV, .column = "t", .keep = names, .keep_count = 1};
    const sv_corpus_options bare = {.format = SV_CORPUS_CSV, .column = "1", .keep = numbers, .keep_count = 1};
    static const char in_json[] = "{\"id\": 18446744073709551615 ,\"t\":\"a\",\"deep\":{\"er\": [1, \"]\"] }}\n";
    static const struct {
        const char *content, *value;
        int kind;
    } tables[] = {{"t,id\na,\"x \"\"y\"\"\"\n", "x \"y\"", SV_VALUE_STRING}, {"a,7\n", "7", SV_VALUE_STRING}};
    senvec_text text;
    bool more;
    sv_corpus *corpus = NULL;
    write_file(temporary, in_json, sizeof in_json - 1);
    assert_int_equal(sv_corpus_open(temporary, &json, &corpus, NULL), SENVEC_OK);
    assert_int_equal(sv_corpus_next(corpus, &text, &more, NULL), SENVEC_OK);
    static const char *const wanted[] = {"18446744073709551615", "[1, \"]\"]"};
    for (size_t i = 0; i < 2; i++) {
        sv_corpus_value value = sv_corpus_kept(corpus, i);
        assert_int_equal(value.kind, SV_VALUE_JSON);
        assert_int_equal(value.json.length, strlen(wanted[i]));
        assert_memory_equal(value.json.text, wanted[i], value.json.length);
    }
    assert_int_equal(sv_corpus_kept(corpus, 2).kind, SV_VALUE_MISSING);
    sv_corpus_close(corpus);
    for (size_t i = 0; i < 2; i++) {
        write_file(temporary, tables[i].content, strlen(tables[i].content));
        assert_int_equal(sv_corpus_open(temporary, i ? &bare : &table, &corpus, NULL), SENVEC_OK);
        assert_int_equal(sv_corpus_next(corpus, &text, &more, NULL), SENVEC_OK);
        sv_corpus_value value = sv_corpus_kept(corpus, 0);
        assert_int_equal(value.kind, tables[i].kind);
        assert_int_equal(value.text.length, strlen(tables[i].value));
        assert_memory_equal(value.text.data, tables[i].value, value.text.length);
        sv_corpus_close(corpus);
    }
    assert_int_equal(sv_corpus_open(temporary, &(sv_corpus_options){.format = SV_CORPUS_LINES, .keep = names, .keep_count = 1},
                                    &corpus, NULL),
                     SENVEC_INVALID_ARGUMENT);
    unlink(temporary);
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
        cmocka_unit_test(lines_are_texts),
        cmocka_unit_test(binary_data_is_refused),
        cmocka_unit_test(packed_text),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(json_array),
        cmocka_unit_test(csv_columns),
        cmocka_unit_test(csv_needs_a_column),
        cmocka_unit_test(tsv_columns),
        cmocka_unit_test(separators),
        cmocka_unit_test(columns_with_numbers_for_names),
        cmocka_unit_test(members_within_members),
        cmocka_unit_test(bad_records_are_skipped),
        cmocka_unit_test(kept_values),
        cmocka_unit_test(format_by_name),
        cmocka_unit_test(long_records),
        cmocka_unit_test(files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
