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

/* As much as an address gets, a MB at a time, each for a request of its own. */
static size_t take_all(sv_request_memory *memory, uint64_t address, sv_memory_use use) {
    size_t taken = 0;
    for (sv_memory_held held = {0}; sv_request_memory_take(memory, address, use, &held, MB) == SV_MEMORY_GRANTED;
         held = (sv_memory_held){0})
        taken += MB;
    return taken;
}

static void each_address_finds_some(void **state) {
    (void)state;
    static sv_request_memory memory;
    sv_request_memory_init(&memory, 512 * MB);
    sv_memory_held first = {take_all(&memory, 1, SV_MEMORY_BODY), 0};
    assert_int_equal(first.request, 224 * MB); /* half of all but an eighth */
    size_t second = take_all(&memory, 2, SV_MEMORY_BODY);
    assert_int_equal(second, 112 * MB);
    for (uint64_t address = 3; address < 300; address++)
        take_all(&memory, address, SV_MEMORY_BODY);
    assert_true(sv_request_memory_used(&memory) <= 448 * MB);
    for (int i = 0; i < 100; i++) { /* small ones find room whatever large ones took */
        sv_memory_held held = {0};
        assert_int_equal(sv_request_memory_take(&memory, 1000, SV_MEMORY_WORK, &held, SV_SMALL_REQUEST), SV_MEMORY_GRANTED);
    }
    sv_request_memory_give(&memory, 1, &first, first.request);
    assert_int_equal(first.request, 0);
    sv_memory_held held = {0};
    assert_int_equal(sv_request_memory_take(&memory, 2000, SV_MEMORY_BODY, &held, 30 * MB), SV_MEMORY_GRANTED);
    assert_int_equal(held.request, 30 * MB);
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
        sv_memory_held held = {0}, other = {0};
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], &held, most + 1), SV_MEMORY_NEVER);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], &held, SIZE_MAX), SV_MEMORY_NEVER);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], &held, most), SV_MEMORY_GRANTED);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], &held, 1), SV_MEMORY_NEVER);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], &held, SIZE_MAX), SV_MEMORY_NEVER);
        assert_int_equal(sv_request_memory_take(&memory, 1, uses[i], &other, most), SV_MEMORY_BUSY);
        assert_int_equal(held.request + held.answer, most);
        assert_int_equal(other.request + other.answer, 0);
        sv_request_memory_keep(&memory, 1, &held, 0);
    }
    assert_int_equal(sv_request_memory_used(&memory), 0);
    sv_request_memory_release(&memory);
}

/* An address whose answers wait to be sent can send bodies, whatever their number; other addresses have their answers. */
static void answers_leave_room_for_bodies(void **state) {
    (void)state;
    static sv_request_memory memory;
    for (int small = 0; small < 2; small++) {
        size_t size = small ? SV_SMALL_REQUEST : MB, most = small ? 32 * MB : 16 * MB;
        sv_request_memory_init(&memory, 64 * MB);
        sv_memory_held answers[256] = {0}, waits = {0}, body = {0}, other = {0};
        size_t count = 0;
        while (sv_request_memory_take(&memory, 1, SV_MEMORY_ANSWER, &answers[count], size) == SV_MEMORY_GRANTED)
            count++;
        assert_int_equal(sv_request_memory_used(&memory), most + size); /* of its address there is no more than `most` then */
        assert_int_equal(sv_request_memory_take(&memory, 1, SV_MEMORY_BODY, &body, 8 * MB), SV_MEMORY_GRANTED);
        assert_int_equal(sv_request_memory_take(&memory, 2, SV_MEMORY_ANSWER, &other, 8 * MB), SV_MEMORY_GRANTED);
        assert_int_equal(sv_request_memory_take(&memory, 1, SV_MEMORY_ANSWER, &waits, size), SV_MEMORY_BUSY);
        for (size_t i = 0; i < 2; i++)
            sv_request_memory_keep(&memory, 1, &answers[i], 0);
        assert_int_equal(sv_request_memory_take(&memory, 1, SV_MEMORY_ANSWER, &waits, size), SV_MEMORY_GRANTED);
        sv_request_memory_release(&memory);
    }
}

/* Once a request is dropped, what is left of its memory is its answer's. */
static void what_is_kept_is_the_answers(void **state) {
    (void)state;
    static sv_request_memory memory;
    sv_request_memory_init(&memory, 64 * MB);
    sv_memory_held held = {0}, body = {0};
    assert_int_equal(sv_request_memory_take(&memory, 1, SV_MEMORY_WORK, &held, 40 * MB), SV_MEMORY_GRANTED);
    assert_int_equal(sv_request_memory_take(&memory, 1, SV_MEMORY_BODY, &body, MB), SV_MEMORY_BUSY);
    sv_request_memory_keep(&memory, 1, &held, 30 * MB);
    assert_int_equal(held.request, 0);
    assert_int_equal(held.answer, 30 * MB);
    assert_int_equal(sv_request_memory_take(&memory, 1, SV_MEMORY_BODY, &body, MB), SV_MEMORY_GRANTED);
    sv_request_memory_keep(&memory, 1, &held, 50 * MB); /* an answer may be longer than what was taken for it */
    assert_int_equal(held.answer, 30 * MB);
    sv_request_memory_force(&memory, 1, &held, 60 * MB);
    assert_int_equal(sv_request_memory_used(&memory), 91 * MB);
    sv_request_memory_keep(&memory, 1, &held, 0);
    sv_request_memory_give(&memory, 1, &body, MB);
    assert_int_equal(sv_request_memory_used(&memory), 0);
    sv_request_memory_release(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_fits_the_machine), cmocka_unit_test(each_address_finds_some), cmocka_unit_test(never),
        cmocka_unit_test(answers_leave_room_for_bodies), cmocka_unit_test(what_is_kept_is_the_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
