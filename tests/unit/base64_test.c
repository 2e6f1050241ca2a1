/* base64 against RFC 4648's vectors, and every length and byte there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base64.h"

static void encodes(const char *plain, const char *expected) {
    char made[16], back[16];
    size_t length = SV_BASE64_LENGTH(strlen(plain));
    sv_base64_encode(plain, strlen(plain), made);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(made, expected, length);
    assert_int_equal(sv_base64_decode(made, length, back), strlen(plain));
    assert_memory_equal(back, plain, strlen(plain));
}

static void test_published_vectors(void **state) {
    (void)state;
    encodes("", "");
    encodes("f", "Zg==");
    encodes("fo", "Zm8=");
    encodes("foo", "Zm9v");
    encodes("foob", "Zm9vYg==");
    encodes("fooba", "Zm9vYmE=");
    encodes("foobar", "Zm9vYmFy");
    encodes("\xfb\xff\xfe", "+//+");
}

static void test_there_and_back(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes < 300; bytes++) { /* in blocks of the exact size, so that a sanitizer sees each end */
        uint8_t *data = malloc(bytes + 1), *back = malloc(bytes + 3);
        char *text = malloc(SV_BASE64_LENGTH(bytes) + 1);
        for (size_t i = 0; i < bytes; i++)
            data[i] = (uint8_t)(7 * i + 251 * bytes + (i >> 3));
        sv_base64_encode(data, bytes, text);
        assert_int_equal(sv_base64_decode(text, SV_BASE64_LENGTH(bytes), back), bytes);
        assert_memory_equal(back, data, bytes);
        free(data);
        free(back);
        free(text);
    }
}

static void test_what_is_none(void **state) {
    (void)state;
    char out[16];
    const char *const wrong[] = {
        "Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Z=g=", "Zm9-", "Zm9_", "Zm 9", "Zm9\n", "Zm9\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(sv_base64_decode(wrong[i], strlen(wrong[i]), out), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
