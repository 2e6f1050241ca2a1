/* traceparent headers of the standard's own examples, and what it calls malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/trace_context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void reads_what_the_standard_allows(void **state) {
    (void)state;
    static const struct {
        const char *value, *flags;
    } cases[] = {
        {"00-" TRACE "-" PARENT "-01", "01"},  {"00-" TRACE "-" PARENT "-00", "00"},
        {"00-" TRACE "-" PARENT "-03", "03"},  {"cc-" TRACE "-" PARENT "-01", "01"},
        {"cc-" TRACE "-" PARENT "-fe", "00"},  {"cc-" TRACE "-" PARENT "-0b-what-the-future", "01"},
        {"01-" TRACE "-" PARENT "-01-", "01"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_trace_context trace;
        memset(&trace, 'x', sizeof trace);
        assert_true(sv_trace_context_read(cases[i].value, &trace));
        assert_string_equal(trace.trace_id, TRACE);
        assert_string_equal(trace.parent_id, PARENT);
        assert_string_equal(trace.flags, cases[i].flags);
        assert_int_equal(sv_trace_context_is_recorded(&trace), strchr("13", trace.flags[1]) != NULL);
    }
}

static void ignores_the_rest(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "ff-" TRACE "-" PARENT "-01",
        "0-" TRACE "-" PARENT "-01",
        "000-" TRACE "-" PARENT "-01",
        ".0-" TRACE "-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-" TRACE "0-" PARENT "-01",
        "00-" TRACE "-" PARENT "0-01",
        "00-" TRACE "-" PARENT "-1",
        "00-" TRACE "-" PARENT "-0x",
        "00-" TRACE "-" PARENT "-01-",
        "00-" TRACE "-" PARENT "-010",
        "cc-" TRACE "-" PARENT "-01.what",
        " 00-" TRACE "-" PARENT "-01",
        "00_" TRACE "_" PARENT "_01",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sv_trace_context trace, before;
        memset(&trace, 'x', sizeof trace);
        before = trace;
        assert_false(sv_trace_context_read(wrong[i], &trace));
        assert_memory_equal(&trace, &before, sizeof trace);
    }
    const char whole[] = "00-" TRACE "-" PARENT "-01"; /* every beginning */
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        char *cut = strndup(whole, length);
        sv_trace_context trace = {0};
        assert_false(sv_trace_context_is_recorded(&trace));
        assert_false(sv_trace_context_read(cut, &trace));
        free(cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_standard_allows),
        cmocka_unit_test(ignores_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
