/* Who may take how much of the memory for requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/request_memory.h"

#define MB ((size_t)1 << 20)

static void the_default_fits_the_machine(void **state) {
    (void)state;
    assert_int_equal(sv_request_memory_default(0, 100 * MB), 512 * MB);
    assert_int_equal(sv_request_memory_default((uint64_t)64 << 30, 100 * MB), 512 * MB);
    assert_int_equal(sv_request_memory_default(256 * MB, 32 * MB), 80 * MB);
    assert_int_equal(sv_request_memory_default(128 * MB, 100 * MB), 16 * MB);
    assert_int_equal(sv_request_memory_default(1, 100 * MB), 16 * MB);
}

/* As much as an address gets, a MB at a time. */
static size_t take_all(sv_request_memory *memory, uint64_t address, sv_memory_use use) {
    size_t taken = 0;
    while (sv_request_memory_take(memory, address, use, 0, MB) == SV_MEMORY_GRANTED)
        taken += MB;
    return taken;
}

static void each_address_finds_some(void **state) {
    (void)state;
    static sv_request_memory memory;
    sv_request_memory_init(&memory, 512 * MB);
    size_t first = take_all(&memory, 1, SV_MEMORY_BODY);
    assert_int_equal(first, 224 * MB); /* half of all but an eighth */
    size_t second = take_all(&memory, 2, SV_MEMORY_BODY);
    assert_int_equal(second, 112 * MB);
    for (uint64_t address = 3; address < 300; address++)
        take_all(&memory, address, SV_MEMORY_BODY);
    assert_true(sv_request_memory_used(&memory) <= 448 * MB);
    for (int i = 0; i < 100; i++) /* small ones find room whatever large ones took */
        assert_int_equal(sv_request_memory_take(&memory, 1000, SV_MEMORY_WORK, 0, SV_SMALL_REQUEST), SV_MEMORY_GRANTED);
    sv_request_memory_give(&memory, 1, first);
    assert_int_equal(sv_request_memory_take(&memory, 2000, SV_MEMORY_BODY, 0, 30 * MB), SV_MEMORY_GRANTED);
    sv_request_memory_release(&memory);
}

/* What one request can't have alone is never, not later. */
static void never(void **state) {
    (void)state;
    static sv_request_memory memory;
    sv_request_memory_init(&memory, 64 * MB);
    const sv_memory_use uses[] = {SV_MEMORY_BODY, SV_MEMORY_WORK, SV_MEMORY_ANSWER};
    for (size_t i = 0; i < 3; i++) {
        size_t most = sv_request_memory_limit(&memory, uses[i], 64 * MB);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], 0, most + 1), SV_MEMORY_NEVER);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], most, 1), SV_MEMORY_NEVER);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], 0, SIZE_MAX), SV_MEMORY_NEVER);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], 0, most), SV_MEMORY_GRANTED);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], 0, most), SV_MEMORY_BUSY);
        sv_request_memory_give(&memory, 1, most);
    }
    assert_int_equal(sv_request_memory_used(&memory), 0);
    sv_request_memory_release(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_default_fits_the_machine),
                                       cmocka_unit_test(each_address_finds_some), cmocka_unit_test(never)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
