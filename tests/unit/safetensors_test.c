/* The safetensors reader: good files, and each way for a file to be bad, with its code and what its message says. */
#include "format/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/test_models.h"

#define GOOD                                                                                                                   \
    "{\"__metadata__\":{\"format\":\"pt\"},"                                                                                   \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[4,20]},"                                                       \
    "\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"                                                          \
    "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[20,28]},"                                                         \
    "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[20,20]}}  "

static const uint8_t data[28] = {0x00, 0x3c, 0x00, 0xc0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};

/* Opens the file that `path` names and expects `code`, with the file's name and `reason` in the message. */
static void expect_failure(const char *path, senvec_status code, const char *reason) {
    sv_safetensors *file = (void *)1;
    senvec_error err = {0};
    senvec_status status = sv_safetensors_open(path, &file, &err);
    if (status == SENVEC_OK)
        fail_msg("opened, but should fail with: %s", reason);
    if (status != code || !strstr(err.message, path) || !strstr(err.message, reason))
        fail_msg("wanted %s with \"%s\", got %s: %s", senvec_status_name(code), reason, senvec_status_name(status),
                 err.message);
    assert_int_equal(err.code, code);
    assert_ptr_equal(file, (void *)1);
    assert_int_equal(sv_safetensors_open(path, &file, NULL), code);
}

static void expect_bad_header(const char *header, size_t size, senvec_status code, const char *reason) {
    const char *path = test_path("bad.safetensors");
    test_write_safetensors(path, header, data, size);
    expect_failure(path, code, reason);
}

static void test_good(void **state) {
    (void)state;
    const char *path = test_path("good.safetensors");
    test_write_safetensors(path, GOOD, data, sizeof data);
    sv_safetensors *file;
    assert_int_equal(sv_safetensors_open(path, &file, NULL), SENVEC_OK);
    assert_int_equal(sv_safetensors_count(file), 4);
    assert_int_equal(sv_safetensors_bytes(file), 8 + strlen(GOOD) + sizeof data);
    static const char *const names[] = {"a", "b", "c", "empty"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(sv_safetensors_at(file, i)->name, names[i]);
        assert_ptr_equal(sv_safetensors_find(file, names[i]), sv_safetensors_at(file, i));
    }
    assert_null(sv_safetensors_find(file, "__metadata__"));
    assert_null(sv_safetensors_find(file, "aa"));

    const sv_tensor *b = sv_safetensors_find(file, "b");
    assert_int_equal(b->dtype, SV_DTYPE_F32);
    assert_int_equal(b->rank, 2);
    assert_true(b->shape[0] == 2 && b->shape[1] == 2 && b->count == 4 && b->bytes == 16);
    assert_int_equal(b->offset, 8 + strlen(GOOD) + 4);
    assert_memory_equal(b->data, data + 4, 16);
    float four[4];
    sv_tensor_to_f32(b, four);
    assert_true(four[0] == 1 && four[1] == -2 && four[2] == 0);

    const sv_tensor *c = sv_safetensors_find(file, "c");
    assert_int_equal(c->dtype, SV_DTYPE_OTHER);
    assert_string_equal(c->dtype_name, "I64");
    assert_true(c->rank == 0 && c->count == 1 && c->bytes == 8);
    const sv_tensor *empty = sv_safetensors_find(file, "empty");
    assert_true(empty->count == 0 && empty->bytes == 0);
    sv_tensor_to_f32(empty, four);

    /* Forgotten pages come back as they were. */
    sv_safetensors_forget(file, b->data - b->offset, sv_safetensors_bytes(file));
    sv_safetensors_forget(file, names, 8);
    assert_memory_equal(b->data, data + 4, 16);
    sv_safetensors_close(file);
    sv_safetensors_close(NULL);
}

static void test_no_tensors(void **state) {
    (void)state;
    const char *path = test_path("none.safetensors");
    test_write_safetensors(path, "{}", NULL, 0);
    sv_safetensors *file;
    assert_int_equal(sv_safetensors_open(path, &file, NULL), SENVEC_OK);
    assert_int_equal(sv_safetensors_count(file), 0);
    assert_null(sv_safetensors_find(file, "a"));
    sv_safetensors_close(file);
}

/* Every binary16 and bfloat16 value, NaN and infinity included, against ldexp. */
static void test_widening(void **state) {
    (void)state;
    static uint16_t halves[65536];
    static float widened[65536];
    for (unsigned i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    sv_tensor tensor = {.dtype = SV_DTYPE_F16, .count = 65536, .bytes = sizeof halves, .data = (const uint8_t *)halves};
    for (int bf16 = 0; bf16 < 2; bf16++) {
        int fraction_bits = bf16 ? 7 : 10, bias = bf16 ? 127 : 15, top = 2 * bias + 1;
        tensor.dtype = bf16 ? SV_DTYPE_BF16 : SV_DTYPE_F16;
        sv_tensor_to_f32(&tensor, widened);
        for (int i = 0; i < 65536; i++) {
            int exponent = i >> fraction_bits & top, fraction = i & ((1 << fraction_bits) - 1);
            double wanted = exponent == top ? fraction ? NAN : INFINITY
                            : exponent      ? ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits)
                                            : ldexp(fraction, 1 - bias - fraction_bits);
            if (isnan(wanted)) {
                assert_true(isnan(widened[i]));
                continue;
            }
            assert_true(widened[i] == (i >> 15 ? -wanted : wanted));
            assert_int_equal(!!signbit(widened[i]), i >> 15);
        }
    }
}

static void test_missing(void **state) {
    (void)state;
    expect_failure(test_path("nowhere.safetensors"), SENVEC_NOT_FOUND, "No such file");
    expect_failure(test_scratch(), SENVEC_IO, "not a regular file");
}

/* Cut after every byte. */
static void test_truncated(void **state) {
    (void)state;
    const char *path = test_path("good.safetensors");
    test_write_safetensors(path, GOOD, data, sizeof data);
    size_t size;
    char *all = test_read(path, &size);
    const char *cut = test_path("cut.safetensors");
    for (size_t length = 0; length < size; length++) {
        test_write(cut, all, length);
        expect_failure(cut, SENVEC_FORMAT, "it was cut; fetch it again");
    }
    free(all);
}

/* Each bit of size and header flipped: opened with every view inside the file, or refused; under the sanitizers, never worse.
 */
static void test_flipped(void **state) {
    (void)state;
    const char *path = test_path("flipped.safetensors");
    test_write_safetensors(path, GOOD, data, sizeof data);
    size_t size;
    char *all = test_read(path, &size);
    unsigned opened = 0;
    for (size_t bit = 0; bit < 8 * (8 + strlen(GOOD)); bit++) {
        all[bit / 8] ^= (char)(1 << bit % 8);
        test_write(path, all, size);
        sv_safetensors *file;
        senvec_error err;
        if (sv_safetensors_open(path, &file, &err) == SENVEC_OK) {
            opened++;
            for (size_t i = 0; i < sv_safetensors_count(file); i++) {
                const sv_tensor *tensor = sv_safetensors_at(file, i);
                assert_true(tensor->offset + tensor->bytes <= size);
                float values[16];
                assert_true(tensor->count <= 16);
                if (tensor->dtype != SV_DTYPE_OTHER)
                    sv_tensor_to_f32(tensor, values);
            }
            sv_safetensors_close(file);
        } else {
            assert_true(err.code == SENVEC_FORMAT || err.code == SENVEC_TOO_LARGE || err.code == SENVEC_UNSUPPORTED);
            assert_true(err.offset <= size);
        }
        all[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(opened > 0); /* bits of names and of metadata */
    free(all);
}

static void test_header_size(void **state) {
    (void)state;
    const char *path = test_path("size.safetensors");
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    test_write(path, huge, sizeof huge);
    expect_failure(path, SENVEC_TOO_LARGE, "a header of 18446744073709551615 bytes");
    static const uint8_t over[16] = {1, 0, 0x40, 6, 0, 0, 0, 0, '{', '}'}; /* 100 MiB + 1 */
    test_write(path, over, sizeof over);
    expect_failure(path, SENVEC_TOO_LARGE, "a header of 104857601 bytes");
    static const uint8_t beyond[16] = {9, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    test_write(path, beyond, sizeof beyond);
    expect_failure(path, SENVEC_FORMAT, "inside its header (to byte 17)");
    static const uint8_t none[8] = {0};
    test_write(path, none, sizeof none);
    expect_failure(path, SENVEC_FORMAT, "does not begin with '{'");
}

static void test_bad_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t size;
        senvec_status code;
        const char *reason;
    } cases[] = {
        /* JSON */
        {" {}", 0, SENVEC_FORMAT, "does not begin with '{'"},
        {"{\"a\"}", 0, SENVEC_FORMAT, "of the header is not right"},
        {"{} x", 0, SENVEC_FORMAT, "of the header is not right"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_"
         "offsets\":[0,"
         "0]}}",
         0, SENVEC_FORMAT, "two members of the same name"},
        {"{\"__metadata__\":{\"a\":1}}", 0, SENVEC_FORMAT, "\"__metadata__\" does not map strings to strings"},
        {"{\"__metadata__\":[]}", 0, SENVEC_FORMAT, "\"__metadata__\" does not map strings to strings"},
        /* entries */
        {"{\"a\":3}", 0, SENVEC_FORMAT, "tensor \"a\" has no dtype, shape or pair of data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", 0, SENVEC_FORMAT, "pair of data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0]}}", 0, SENVEC_FORMAT, "pair of data_offsets"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, SENVEC_UNSUPPORTED, "unknown dtype \"F33\""},
        /* shapes */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, SENVEC_FORMAT, "dimension 0 of its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1.0],\"data_offsets\":[0,4]}}", 4, SENVEC_FORMAT, "dimension 1 of its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", 4, SENVEC_FORMAT, "not a size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, SENVEC_FORMAT,
         "the product of its shape overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, SENVEC_FORMAT,
         "not a size in bytes"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, SENVEC_FORMAT, "not a size in bytes"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, SENVEC_TOO_LARGE,
         "9 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, SENVEC_FORMAT,
         "has 8 bytes, but its shape and dtype F32 need 12"},
        /* offsets */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, SENVEC_FORMAT, "not a range of bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, SENVEC_FORMAT, "not a range of bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[\"0\",4]}}", 4, SENVEC_FORMAT, "not a range of bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, SENVEC_FORMAT, "inside or before tensor \"a\""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_"
         "offsets\":"
         "[4,12]}}",
         12, SENVEC_FORMAT, "tensors \"a\" and \"b\" overlap at byte"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_"
         "offsets\":"
         "[0,8]}}",
         8, SENVEC_FORMAT, "overlap at byte"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_"
         "offsets\":"
         "[4,4]}}",
         8, SENVEC_FORMAT, "overlap at byte"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, SENVEC_FORMAT, "a hole at byte"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, SENVEC_FORMAT,
         "4 bytes that belong to no tensor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_bad_header(cases[i].header, cases[i].size, cases[i].code, cases[i].reason);
}

/* Deep nesting must end in an error, not in the stack's end. */
static void test_nesting(void **state) {
    (void)state;
    size_t depth = 1 << 20;
    char *header = malloc(depth + 16);
    assert_non_null(header);
    strcpy(header, "{\"a\":");
    memset(header + 5, '[', depth);
    header[5 + depth] = '\0';
    expect_bad_header(header, 0, SENVEC_FORMAT, "of the header is not right");
    free(header);
}

static void test_too_many(void **state) {
    (void)state;
    size_t room = (size_t)64 * (SV_MAX_TENSORS + 2), length = 1;
    char *header = malloc(room);
    assert_non_null(header);
    strcpy(header, "{");
    for (unsigned i = 0; i <= SV_MAX_TENSORS; i++)
        length += (size_t)snprintf(header + length, room - length,
                                   "%s\"%u\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "", i);
    strcpy(header + length, "}");
    expect_bad_header(header, 0, SENVEC_TOO_LARGE, "65537 tensors; the maximum is 65536");
    free(header);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),        cmocka_unit_test(test_no_tensors),  cmocka_unit_test(test_widening),
        cmocka_unit_test(test_missing),     cmocka_unit_test(test_truncated),   cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_header_size), cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
