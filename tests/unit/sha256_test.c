/* SHA-256: the examples of FIPS 180-4 and of NIST's example files, each in pieces of every length, and by both
 * implementations. */
#include "common/sha256.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *text;
    size_t times;
    const char *digest;
} examples[] = {
    {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu", 1,
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

static void test_examples(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        sv_sha256 hash;
        char text[SV_SHA256_TEXT];
        sv_sha256_init(&hash);
        for (size_t j = 0; j < examples[i].times; j++)
            sv_sha256_add(&hash, examples[i].text, strlen(examples[i].text));
        sv_sha256_end_text(&hash, text);
        assert_string_equal(text, examples[i].digest);
    }
}

/* Every length up to some blocks: in one piece, and cut everywhere. */
static void test_pieces(void **state) {
    (void)state;
    uint8_t data[300];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 % 251);
    for (size_t length = 0; length <= sizeof data; length++) {
        uint8_t whole[SV_SHA256_BYTES], pieces[SV_SHA256_BYTES];
        sv_sha256 hash;
        sv_sha256_init(&hash);
        sv_sha256_add(&hash, length ? data : NULL, length);
        sv_sha256_end(&hash, whole);
        for (size_t cut = 0; cut <= length; cut += length > 130 ? 13 : 1) {
            sv_sha256_init(&hash);
            sv_sha256_add(&hash, data, cut);
            sv_sha256_add(&hash, data + cut, length - cut);
            sv_sha256_end(&hash, pieces);
            assert_memory_equal(whole, pieces, sizeof whole);
        }
    }
}

static void test_instructions(void **state) {
    (void)state;
    if (!has_instructions()) {
        print_message("SKIP: this CPU has no instructions for SHA-256\n");
        return;
    }
    uint8_t data[64 * 40];
    uint32_t a[8] = {1, 2, 3, 4, 5, 6, 7, 0xffffffff}, b[8];
    memcpy(b, a, sizeof a);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * i * 31 >> 3);
    for (size_t blocks = 0; blocks <= 40; blocks += 1 + blocks / 3) {
        compress_plain(a, data, blocks);
        compress_sha(b, data, blocks);
        assert_memory_equal(a, b, sizeof a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
