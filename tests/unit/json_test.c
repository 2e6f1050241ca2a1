/* Reading JSON: what is refused and where, what is found, and many generated documents beside another reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/json_document.h"
#include "common/limits.h"
#include "json_reference.h"

enum { DOCUMENTS = 60000 };

static senvec_status check(const char *text, sv_json *root, senvec_error *err) {
    return sv_json_read(text, strlen(text), NULL, root, err);
}

static void faults_have_a_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t offset;
        const char *message;
    } cases[] = {
        {"", 0, "line 1, column 1: the document ends here"},
        {" \n", 2, "line 2, column 1: the document ends here"},
        {"{", 1, "a member's name"},
        {"[", 1, "the document ends here"},
        {"[1,]", 3, "a value is expected"},
        {"{\"a\":1,}", 7, "a member's name"},
        {"{\"a\" 1}", 5, "a colon"},
        {"[1 2]", 3, "a comma or ]"},
        {"{\"a\":1 \"b\":2}", 7, "a comma or }"},
        {"{} {}", 3, "goes on after its end"},
        {"[1}", 2, "a comma or ]"},
        {"\"\xc3\xa9\n", 3, "line 1, column 3: a string holds a control"},
        {"[\"\xc3(\"]", 2, "aren't UTF-8"},
        {"\"\xed\xa0\x80\"", 1, "aren't UTF-8"},
        {"\"abc", 4, "a string has no end"},
        {"\"\\x\"", 1, "can't escape"},
        {"\"\\u12g4\"", 1, "four hexadecimal"},
        {"\"\\ud800\"", 1, "half of a surrogate"},
        {"\"\\udc00\"", 1, "half of a surrogate"},
        {"\"\\ud800\\ud800\"", 1, "half of a surrogate"},
        {"01", 1, "begins with 0"},
        {"-", 1, "a digit is missing"},
        {"1.", 2, "a digit is missing"},
        {"1e+", 3, "a digit is missing"},
        {"nul", 0, "a value is expected"},
        {"\xef\xbb\xbf{}", 0, "a value is expected"},
        {"{\"a\":1,\"b\":2,\"\\u0061\":3}", 23, "two members of the same name"},
        {"[{\"a\":{\"b\":1,\"b\":1}}]", 18, "two members of the same name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_json root = {.kind = SV_JSON_NONE};
        senvec_error err;
        assert_int_equal(check(cases[i].text, &root, &err), SENVEC_FORMAT);
        if (err.offset != cases[i].offset || !strstr(err.message, cases[i].message))
            fail_msg("%s: at %llu: %s", cases[i].text, (unsigned long long)err.offset, err.message);
        assert_int_equal(root.kind, SV_JSON_NONE);
    }
}

static void members_and_values(void **state) {
    (void)state;
    char text[] = " {\"a\" : [ ] , \"b\":[1, 2.5,\"x\\u00e9\\ud83d\\ude00\\n\" ,{}],\"n\\u0061me\":null,\"\":true,"
                  "\"big\":9223372036854775807,\"least\":-9223372036854775808,\"over\":9223372036854775808,"
                  "\"huge\":1e999,\"small\":-0.5e-1} ";
    sv_json root, item;
    senvec_error err;
    int64_t integer = 5;
    double number = 5;
    assert_int_equal(check(text, &root, &err), SENVEC_OK);
    assert_int_equal(root.kind, SV_JSON_OBJECT);
    assert_int_equal(sv_json_count(root), 9);
    assert_int_equal(sv_json_count(sv_json_member(root, "a")), 0);
    assert_int_equal(sv_json_member(root, "name").kind, SV_JSON_NULL);
    assert_int_equal(sv_json_member(root, "nam").kind, SV_JSON_NONE);
    assert_int_equal(sv_json_member(root, "").kind, SV_JSON_TRUE);
    assert_true(sv_json_integer(sv_json_member(root, "big"), &integer) && integer == INT64_MAX);
    assert_true(sv_json_integer(sv_json_member(root, "least"), &integer) && integer == INT64_MIN);
    assert_false(sv_json_integer(sv_json_member(root, "over"), &integer));
    assert_false(sv_json_integer(sv_json_member(root, "small"), &integer));
    assert_false(sv_json_number(sv_json_member(root, "huge"), &number));
    assert_true(sv_json_number(sv_json_member(root, "small"), &number) && number == -0.05);
    assert_true(sv_json_number(sv_json_member(root, "over"), &number) && number == 9223372036854775808.0);
    sv_json_items items = sv_json_walk(sv_json_member(root, "b"));
    assert_true(sv_json_step(&items, NULL, &item) && item.kind == SV_JSON_INTEGER);
    assert_true(sv_json_step(&items, NULL, &item) && item.kind == SV_JSON_REAL);
    assert_true(sv_json_step(&items, NULL, &item) && item.kind == SV_JSON_STRING && sv_json_is_escaped(item));
    assert_true(sv_json_is(item, "x\xc3\xa9\xf0\x9f\x98\x80\n"));
    assert_false(sv_json_is(item, "x\xc3\xa9\xf0\x9f\x98\x80"));
    sv_json string = item;
    assert_true(sv_json_step(&items, NULL, &item) && item.kind == SV_JSON_OBJECT);
    assert_false(sv_json_step(&items, NULL, &item));
    char *in_place = (char *)string.text + 1;
    assert_int_equal(sv_json_decode(string, in_place), 8);
    assert_memory_equal(in_place, "x\xc3\xa9\xf0\x9f\x98\x80\n", 8);
}

/* What sv_json_read refuses of others' data and sv_json_read_lenient takes, and what neither takes. */
static void leniency(void **state) {
    (void)state;
    static const struct {
        const char *text, *decoded; /* of a string */
    } cases[] = {
        {"{\"a\":1,\"a\":2}", NULL},
        {"[{\"a\":{\"b\":1,\"b\":1}}]", NULL},
        {"\"\\ud800\"", "\xff"},
        {"\"\\udc00\\n\"", "\xff\n"},
        {"\"\\ud800\\ud800\"", "\xff\xff"},
        {"\"\\ud83d\\ud83d\\ude00x\"", "\xff\xf0\x9f\x98\x80x"},
        {"\"\\ud83d\\\"\"", "\xff\""},
    };
    sv_json root;
    size_t at = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char decoded[32];
        size_t length = strlen(cases[i].text);
        assert_int_equal(check(cases[i].text, &root, NULL), SENVEC_FORMAT);
        assert_null(sv_json_read_lenient(cases[i].text, length, &root, &at));
        assert_int_equal(root.length, length);
        if (!cases[i].decoded)
            continue;
        assert_int_equal(sv_json_decode(root, decoded), strlen(cases[i].decoded));
        assert_memory_equal(decoded, cases[i].decoded, strlen(cases[i].decoded));
        assert_true(sv_json_is(root, cases[i].decoded));
    }
    assert_null(sv_json_read_lenient("{\"a\":1,\"a\":2}", 13, &root, &at));
    assert_int_equal(sv_json_count(root), 2);
    assert_non_null(strstr(sv_json_read_lenient("[1,\"\\u12\"]", 10, &root, &at), "hexadecimal"));
    assert_int_equal(at, 4);
}

/* Nothing is there: each function takes it. */
static void nothing(void **state) {
    (void)state;
    sv_json none = {.kind = SV_JSON_NONE}, item;
    sv_json_index index = {.count = 0};
    sv_json_items items = sv_json_walk(none);
    int64_t integer;
    double number;
    assert_false(sv_json_step(&items, NULL, &item));
    assert_int_equal(sv_json_count(none), 0);
    assert_int_equal(sv_json_member(none, "a").kind, SV_JSON_NONE);
    assert_int_equal(sv_json_look_up(&index, "a").kind, SV_JSON_NONE);
    assert_false(sv_json_is(none, ""));
    assert_false(sv_json_integer(none, &integer) || sv_json_number(none, &number));
    assert_int_equal(sv_json_decode(none, NULL), 0);
}

/* An object with `count` members, the last of which is named as the one at `again` is. */
static char *make_object(size_t count, size_t again) {
    char *text = malloc(count * 16 + 32), *to = text;
    assert_non_null(text);
    *to++ = '{';
    for (size_t i = 0; i < count; i++)
        to += sprintf(to, "%s\"%zu\":%zu", i ? "," : "", i + 1 == count ? again : i, i);
    to[0] = '}', to[1] = '\0';
    return text;
}

static void many_members(void **state) {
    (void)state;
    for (size_t count = 2; count < 300000; count = count * 3 + 1) {
        sv_json root;
        senvec_error err;
        char *text = make_object(count, count - 1), *twice = make_object(count, count / 2 - 1);
        assert_int_equal(check(text, &root, &err), SENVEC_OK);
        assert_int_equal(sv_json_count(root), count);
        sv_json_index index;
        sv_json_index_members(root, &index);
        char last[32];
        int64_t value;
        snprintf(last, sizeof last, "%zu", count - 1);
        assert_true(sv_json_integer(sv_json_look_up(&index, last), &value) && value == (int64_t)count - 1);
        assert_int_equal(check(twice, &root, &err), SENVEC_FORMAT);
        assert_non_null(strstr(err.message, "same name"));
        free(text);
        free(twice);
    }
}

static void depth(void **state) {
    (void)state;
    for (size_t deep = SV_MAX_JSON_DEPTH; deep <= SV_MAX_JSON_DEPTH + 1; deep++) {
        char text[2 * SV_MAX_JSON_DEPTH + 8];
        memset(text, '[', deep);
        memset(text + deep, ']', deep);
        sv_json root;
        senvec_error err;
        bool fits = deep == SV_MAX_JSON_DEPTH;
        assert_int_equal(sv_json_read(text, 2 * deep, NULL, &root, &err), fits ? SENVEC_OK : SENVEC_FORMAT);
        assert_true(fits || strstr(err.message, "too deeply"));
    }
}

static void *no_memory(void *context, size_t size, size_t alignment) {
    (void)size, (void)alignment;
    return *(bool *)context ? NULL : NULL;
}

static void free_nothing(void *context, void *block, size_t size) {
    (void)context, (void)block, (void)size;
}

static void want_of_memory(void **state) {
    (void)state;
    bool unused = true;
    const senvec_allocator allocator = {no_memory, free_nothing, &unused};
    char *few = make_object(64, 63), *more = make_object(65, 64);
    sv_json root;
    senvec_error err;
    assert_int_equal(sv_json_read(few, strlen(few), &allocator, &root, &err), SENVEC_OK);
    assert_int_equal(sv_json_read(more, strlen(more), &allocator, &root, &err), SENVEC_OUT_OF_MEMORY);
    free(few);
    free(more);
}

/* -------------------------------------------------------------- generated */

static uint64_t seed = 88172645463325252u;

static size_t below(size_t limit) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed >> 20) % limit;
}

static char *put(char *to, const char *text) {
    size_t length = strlen(text);
    memcpy(to, text, length);
    return to + length;
}

static const char *const atoms[] = {"0",
                                    "-0",
                                    "1",
                                    "-12",
                                    "123456789012345678",
                                    "9223372036854775807",
                                    "99999999999999999999",
                                    "0.5",
                                    "1e5",
                                    "-1.25E-3",
                                    "1e400",
                                    "true",
                                    "false",
                                    "null",
                                    "\"\"",
                                    "\"a\"",
                                    "\"inputs\"",
                                    "\"\\u0041\\n\\\"\\\\\\/\"",
                                    "\"\\ud83d\\ude00\"",
                                    "\"\\u0000\"",
                                    "\"caf\xc3\xa9 \xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x98\x80\"",
                                    "\"a longer text of more than a word\"",
                                    "[]",
                                    "{}",
                                    "[ ]",
                                    "{ }"};
static const char *const blanks[] = {"", "", "", " ", "\n", "\t ", "\r\n"};

/* A document of at most some 1,000 bytes. */
static char *generate(char *to, size_t levels) {
    size_t choice = levels ? below(4) : 2;
    to = put(to, blanks[below(7)]);
    if (choice >= 2) {
        to = put(to, atoms[below(sizeof atoms / sizeof *atoms)]);
    } else {
        size_t count = below(4);
        *to++ = choice ? '[' : '{';
        for (size_t i = 0; i < count; i++) {
            if (i)
                *to++ = ',';
            if (!choice) {
                static const char *const names[] = {"\"a\"", "\"b\"", "\"\\u0061\"", "\"\"", "\"name\"", "\"n\\u0061me\""};
                to = put(put(to, blanks[below(7)]), names[below(6)]);
                to = put(put(to, blanks[below(7)]), ":");
            }
            to = generate(to, levels - 1);
        }
        *to++ = choice ? ']' : '}';
    }
    return put(to, blanks[below(7)]);
}

static void generated_documents(void **state) {
    (void)state;
    static const char alphabet[] = "{}[]\",:\\ud8Dc0.eE+-tn \n\x01\x80\xc3\xa9\xed\xa0\xf0";
    size_t read = 0;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        char text[8192];
        size_t length = (size_t)(generate(text, 4) - text);
        for (size_t changes = below(3); changes > 0 && length > 0; changes--) {
            size_t at = below(length);
            if (below(2))
                text[at] = alphabet[below(sizeof alphabet - 1)];
            else
                memmove(text + at, text + at + 1, --length - at);
        }
        char *exact = malloc(length ? length : 1); /* so that a sanitizer sees a byte read too many */
        assert_non_null(exact);
        memcpy(exact, text, length);
        int valid = 0;
        const char *difference = json_difference(exact, length, &valid);
        if (difference)
            fail_msg("%s: %.*s", difference, (int)length, exact);
        read += (size_t)valid;
        free(exact);
    }
    assert_true(read > DOCUMENTS / 4 && read < DOCUMENTS);
}

/* Strings of a document are texts in it; what a walk finds is the same as before. */
static void documents(void **state) {
    (void)state;
    static const char text[] = " {\"a\\u00e9\" : \"x\\ny\", \"list\": [\"\", \"}\\\"]{\", {\"\\\\\":-0.5}, 17] ,\"z\":null}\n";
    sv_json_document document;
    senvec_error err;
    assert_int_equal(sv_json_document_read(text, strlen(text), NULL, &document, &err), SENVEC_OK);
    assert_string_equal(sv_json_text(sv_json_member(document.root, "a\xc3\xa9")), "x\ny");
    const sv_json list = sv_json_member(document.root, "list");
    assert_int_equal(sv_json_count(list), 4);
    assert_string_equal(sv_json_text(sv_json_at(list, 0)), "");
    assert_string_equal(sv_json_text(sv_json_at(list, 1)), "}\"]{");
    assert_int_equal(sv_json_text_length(sv_json_at(list, 1)), 4);
    double number;
    assert_true(sv_json_number(sv_json_member(sv_json_at(list, 2), "\\"), &number) && number == -0.5);
    assert_true(sv_json_number(sv_json_at(list, 3), &number) && number == 17);
    assert_int_equal(sv_json_at(list, 4).kind, SV_JSON_NONE);
    assert_int_equal(sv_json_at(document.root, 0).kind, SV_JSON_NONE);
    assert_null(sv_json_text(list));
    assert_int_equal(sv_json_member(document.root, "z").kind, SV_JSON_NULL);
    sv_json_document_close(&document);
    sv_json_document_close(&document);

    assert_int_equal(sv_json_document_read("[\"\\u0041\"]", 10, NULL, &document, &err), SENVEC_OK);
    assert_true(sv_json_is(sv_json_at(document.root, 0), "A"));
    sv_json_document_close(&document);
    assert_int_equal(sv_json_document_read("\"\\t\"", 4, NULL, &document, &err), SENVEC_OK);
    assert_string_equal(sv_json_text(document.root), "\t");
    sv_json_document_close(&document);
    assert_int_equal(sv_json_document_read("[\"a\\u0000b\"]", 12, NULL, &document, &err), SENVEC_FORMAT);
    assert_int_equal(err.offset, 1);
    assert_non_null(strstr(err.message, "NUL"));
    assert_int_equal(sv_json_document_open("p", "", 0, &document, &err), SENVEC_FORMAT);
    assert_string_equal(err.message, "p: the file is empty; fetch it again");
    assert_int_equal(sv_json_document_open("p", "GGUF....", 8, &document, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "p: is a GGUF"));
    assert_int_equal(sv_json_document_open("p", "{]", 2, &document, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "p: not valid JSON: line 1, column 2: "));
}

/* What is written is read back as it was. */
static void writing(void **state) {
    (void)state;
    static const char text[] = "\x01\x1f \"\\\xc3\xa9\n\x7f/";
    static const double numbers[] = {0.1, 9.999999960041972e-13, -1e300, 5e-324, 3, 1.7976931348623157e308};
    char *written = NULL;
    size_t size;
    FILE *stream = open_memstream(&written, &size);
    fputc('[', stream);
    sv_json_write_string(stream, text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        fputc(',', stream);
        sv_json_write_number(stream, numbers[i]);
    }
    fputc(']', stream);
    assert_int_equal(fclose(stream), 0);
    sv_json_document document;
    assert_int_equal(sv_json_document_read(written, size, NULL, &document, NULL), SENVEC_OK);
    assert_string_equal(sv_json_text(sv_json_at(document.root, 0)), text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double number;
        assert_true(sv_json_number(sv_json_at(document.root, i + 1), &number) && number == numbers[i]);
    }
    sv_json_document_close(&document);
    free(written);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_a_place),
        cmocka_unit_test(members_and_values),
        cmocka_unit_test(leniency),
        cmocka_unit_test(nothing),
        cmocka_unit_test(many_members),
        cmocka_unit_test(depth),
        cmocka_unit_test(want_of_memory),
        cmocka_unit_test(generated_documents),
        cmocka_unit_test(documents),
        cmocka_unit_test(writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
